// A dense layer of few outputs, such as the one that gives the logits: its products. Libraries cut
// matrices into tiles that are wider than these; for 128 x 784 times 784 x 10 that costs them three
// times what the arithmetic does.
//
// Matrices lie row by row. Sums keep their order whatever the number of threads.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lanes.h"

namespace {

// Rows, outputs and vectors that are worked on together: what the sums of a tile need is 20 of the
// processor's vectors, the rest is for what goes into them.
constexpr int64_t kRows = 4, kOutputs = 5, kVectors = 4, kWide = kVectors * kLanes;
// Below this a second thread costs more than it does.
constexpr int64_t kWorthThreads = 1 << 18;

inline float sum(Lanes lanes) {
    typedef float Eight __attribute__((vector_size(32)));
    typedef float Four __attribute__((vector_size(16)));
    Eight eight[2];
    std::memcpy(eight, &lanes, sizeof lanes);
    eight[0] += eight[1];
    Four four[2];
    std::memcpy(four, eight, sizeof four);
    four[0] += four[1];
    return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

// So many numbers, at most kLanes, and zeros behind them.
inline Lanes load_some(const float* from, int64_t count) {
    if (count == kLanes) return load(from);
    Lanes lanes{};
    std::memcpy(&lanes, from, count * sizeof(float));
    return lanes;
}

inline void store_some(float* to, Lanes lanes, int64_t count) {
    if (count == kLanes) return store(to, lanes);
    std::memcpy(to, &lanes, count * sizeof(float));
}

struct Shape {
    int64_t count, inputs, outputs;

    bool is_worth_threads() const { return count * inputs * outputs >= kWorthThreads; }
};

// out[n][o] for R rows from `n` on and C outputs from `o` on.
template <int64_t R, int64_t C>
void forward_tile(const float* values, const float* weight, const float* bias, float* out,
                  Shape shape, int64_t n, int64_t o) {
    const int64_t inputs = shape.inputs;
    const float* rows = values + n * inputs;
    const float* taken = weight + o * inputs;
    Lanes sums[R][C]{};
    const auto add = [&](int64_t i, int64_t some) __attribute__((always_inline)) {
        Lanes row[R];
        for (int64_t r = 0; r < R; ++r) row[r] = load_some(rows + r * inputs + i, some);
        for (int64_t c = 0; c < C; ++c) {
            const Lanes taps = load_some(taken + c * inputs + i, some);
            for (int64_t r = 0; r < R; ++r) sums[r][c] += row[r] * taps;
        }
    };
    int64_t i = 0;
    for (; i + kLanes <= inputs; i += kLanes) add(i, kLanes);
    if (i < inputs) add(i, inputs - i);
    for (int64_t r = 0; r < R; ++r)
        for (int64_t c = 0; c < C; ++c)
            out[(n + r) * shape.outputs + o + c] = sum(sums[r][c]) + bias[o + c];
}

// d_weight[o][i] for C outputs from `o` on and V vectors from `i` on; one vector
// alone has `some` numbers.
template <int64_t V, int64_t C>
void weight_tile(const float* slope, const float* values, float* d_weight, Shape shape, int64_t i,
                 int64_t some, int64_t o) {
    const int64_t size = V > 1 ? kLanes : some;
    Lanes sums[C][V]{};
    for (int64_t n = 0; n < shape.count; ++n) {
        const float* row = values + n * shape.inputs + i;
        const float* of_row = slope + n * shape.outputs + o;
        Lanes taken[V];
        for (int64_t v = 0; v < V; ++v) taken[v] = load_some(row + v * kLanes, size);
        for (int64_t c = 0; c < C; ++c)
            for (int64_t v = 0; v < V; ++v) sums[c][v] += taken[v] * of_row[c];
    }
    for (int64_t c = 0; c < C; ++c)
        for (int64_t v = 0; v < V; ++v)
            store_some(d_weight + (o + c) * shape.inputs + i + v * kLanes, sums[c][v], size);
}

// d_values[n][i] for R rows from `n` on and V vectors from `i` on; one vector
// alone has `some` numbers.
template <int64_t R, int64_t V>
void values_tile(const float* slope, const float* weight, const float* let_through, float scale,
                 float* d_values, Shape shape, int64_t n, int64_t i, int64_t some) {
    const int64_t size = V > 1 ? kLanes : some;
    Lanes sums[R][V]{};
    const float* of_rows = slope + n * shape.outputs;
    for (int64_t o = 0; o < shape.outputs; ++o) {
        Lanes taps[V];
        for (int64_t v = 0; v < V; ++v)
            taps[v] = load_some(weight + o * shape.inputs + i + v * kLanes, size);
        for (int64_t r = 0; r < R; ++r)
            for (int64_t v = 0; v < V; ++v) sums[r][v] += taps[v] * of_rows[r * shape.outputs + o];
    }
    for (int64_t r = 0; r < R; ++r)
        for (int64_t v = 0; v < V; ++v) {
            const int64_t place = (n + r) * shape.inputs + i + v * kLanes;
            Lanes found = sums[r][v] * scale;
            if (let_through != nullptr) {
                const Words passed =
                    reinterpret_cast<Words>(load_some(let_through + place, size) > 0.0f);
                found = reinterpret_cast<Lanes>(reinterpret_cast<Words>(found) & passed);
            }
            store_some(d_values + place, found, size);
        }
}

// Calls `work` with a number from 1 to kOutputs that the compiler knows.
template <typename Work>
void with_constant(int64_t number, const Work& work) {
    switch (number) {
        case 1: return work(std::integral_constant<int64_t, 1>());
        case 2: return work(std::integral_constant<int64_t, 2>());
        case 3: return work(std::integral_constant<int64_t, 3>());
        case 4: return work(std::integral_constant<int64_t, 4>());
        default: return work(std::integral_constant<int64_t, kOutputs>());
    }
}

// Calls `work` with the first output of each group and how many are in it: groups of nearly one
// size, none above kOutputs.
template <typename Work>
void by_outputs(int64_t outputs, const Work& work) {
    const int64_t groups = (outputs + kOutputs - 1) / kOutputs;
    for (int64_t group = 0; group < groups; ++group) {
        const int64_t first = group * outputs / groups, next = (group + 1) * outputs / groups;
        with_constant(next - first, [&](auto count) { work(first, count); });
    }
}

}  // namespace

extern "C" {

// out = values x weight^T + bias
void narrow_float32_forward(const float* values, const float* weight, const float* bias,
                            float* out, int64_t count, int64_t inputs, int64_t outputs,
                            int32_t threads) {
    const Shape shape{count, inputs, outputs};
    const int64_t blocks = (count + kRows - 1) / kRows;
#pragma omp parallel for num_threads(threads) if (shape.is_worth_threads())
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t n = block * kRows, rows = std::min(kRows, count - n);
        by_outputs(outputs, [&](int64_t o, auto some) {
            if (rows == kRows)
                return forward_tile<kRows, some()>(values, weight, bias, out, shape, n, o);
            for (int64_t r = 0; r < rows; ++r)
                forward_tile<1, some()>(values, weight, bias, out, shape, n + r, o);
        });
    }
}

// d_weight = slope^T x values; d_bias = the sum of slope over the rows
void narrow_float32_weights(const float* slope, const float* values, float* d_weight,
                            float* d_bias, int64_t count, int64_t inputs, int64_t outputs,
                            int32_t threads) {
    const Shape shape{count, inputs, outputs};
    const int64_t blocks = (inputs + kWide - 1) / kWide;
#pragma omp parallel for num_threads(threads) if (shape.is_worth_threads())
    for (int64_t block = 0; block < blocks; ++block)
        by_outputs(outputs, [&](int64_t o, auto some) {
            const int64_t first = block * kWide;
            if (first + kWide <= inputs)
                return weight_tile<kVectors, some()>(slope, values, d_weight, shape, first, kLanes,
                                                     o);
            for (int64_t i = first; i < inputs; i += kLanes)
                weight_tile<1, some()>(slope, values, d_weight, shape, i,
                                       std::min(kLanes, inputs - i), o);
        });
    std::fill_n(d_bias, outputs, 0.0f);
    for (int64_t n = 0; n < count; ++n)
        for (int64_t o = 0; o < outputs; ++o) d_bias[o] += slope[n * outputs + o];
}

// d_values = slope x weight * scale; where there is `let_through`, 0 for what is not above 0 in it
void narrow_float32_values(const float* slope, const float* weight, const float* let_through,
                           float* d_values, float scale, int64_t count, int64_t inputs,
                           int64_t outputs, int32_t threads) {
    const Shape shape{count, inputs, outputs};
    const int64_t blocks = (count + kRows - 1) / kRows;
    const auto row_of_tiles = [&](auto rows, int64_t n) {
        int64_t i = 0;
        for (; i + kWide <= inputs; i += kWide)
            values_tile<rows(), kVectors>(slope, weight, let_through, scale, d_values, shape, n, i,
                                          kLanes);
        for (; i < inputs; i += kLanes)
            values_tile<rows(), 1>(slope, weight, let_through, scale, d_values, shape, n, i,
                                   std::min(kLanes, inputs - i));
    };
#pragma omp parallel for num_threads(threads) if (shape.is_worth_threads())
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t n = block * kRows, rows = std::min(kRows, count - n);
        if (rows == kRows)
            row_of_tiles(std::integral_constant<int64_t, kRows>(), n);
        else
            for (int64_t r = 0; r < rows; ++r)
                row_of_tiles(std::integral_constant<int64_t, 1>(), n + r);
    }
}

}  // extern "C"
