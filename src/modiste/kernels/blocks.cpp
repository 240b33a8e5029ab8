// The passes over memory of a convolutional net's step, fused: activation, batch norm, max pooling
// and dropout in one block. rows.h says how tensors lie and sums are taken.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "numbers.h"
#include "rows.h"

namespace {

// What the norm sees of a value: with the activation before it, relu(value + bias).
template <bool kActFirst>
inline float seen(float value, float bias) {
    return kActFirst ? std::max(value + bias, 0.0f) : value;
}

// Sums over all pixels of what the norm sees in each channel, and of its squares; of how far that is
// from `middle` where the sums are taken around one.
template <typename T, bool kActFirst, bool kAround, int64_t kC>
std::vector<double> moments(const T* values, const float* bias, const float* middle, Shape s,
                            int threads) {
    const int64_t C = kC ? kC : s.channels;
    return sum_over_rows(
        s.count * s.height, 2 * C, threads, [&](int64_t first, int64_t last, double* total) {
            std::vector<float> buffer(2 * C);
            float* __restrict sum = buffer.data();
            float* __restrict square = buffer.data() + C;
            for (int64_t row = first; row < last; ++row) {
                std::fill(buffer.begin(), buffer.end(), 0.0f);
                const T* __restrict at = values + row * s.width * C;
                for (int64_t x = 0; x < s.width; ++x, at += C)
#pragma omp simd
                    for (int64_t c = 0; c < C; ++c) {
                        float value = seen<kActFirst>(to_float(at[c]), bias[c]);
                        if constexpr (kAround) value -= middle[c];
                        sum[c] += value;
                        square[c] += value * value;
                    }
                for (int64_t i = 0; i < 2 * C; ++i) total[i] += buffer[i];
            }
        });
}

// Below this share of the squared mean a variance is the small difference of two large numbers, and
// has lost three of the seven digits that float32 squares carry, or more.
constexpr double kNarrow = 1e-3;

// Mean and biased variance of each channel.
template <typename T, bool kActFirst, int64_t kC>
void statistics(const T* values, const float* bias, Shape s, int threads, float* mean,
                float* variance) {
    const int64_t C = kC ? kC : s.channels;
    const double pixels = static_cast<double>(s.count * s.pixels());
    const auto sums = moments<T, kActFirst, false, kC>(values, bias, nullptr, s, threads);
    std::vector<int64_t> narrow;
    for (int64_t c = 0; c < C; ++c) {
        const double middle = sums[c] / pixels;
        const double spread = pixels > 1 ? sums[C + c] / pixels - middle * middle : 0.0;
        mean[c] = static_cast<float>(middle);
        variance[c] = static_cast<float>(std::max(spread, 0.0));
        if (spread < kNarrow * middle * middle) narrow.push_back(c);
    }
    if (narrow.empty()) return;
    // Once more, around the means. The other channels keep what they have: whether a channel is
    // computed so depends on itself alone.
    const std::vector<float> middle(mean, mean + C);
    const auto rests = moments<T, kActFirst, true, kC>(values, bias, middle.data(), s, threads);
    for (const int64_t c : narrow) {
        const double rest = rests[c] / pixels;
        mean[c] = static_cast<float>(middle[c] + rest);
        variance[c] = static_cast<float>(std::max(rests[C + c] / pixels - rest * rest, 0.0));
    }
}

// One window of up to 2 x 2 pixels (one, without pooling): where each of them lies.
template <bool kPool>
struct Window {
    int64_t offsets[4];
    int members;

    Window(int64_t n, int64_t y, int64_t x, const Shape& s) {
        if (!kPool) {
            offsets[0] = ((n * s.height + y) * s.width + x) * s.channels;
            members = 1;
            return;
        }
        const int64_t top = 2 * y, left = 2 * x;
        members = 0;
        for (int64_t row = top; row < std::min(top + 2, s.height); ++row)
            for (int64_t column = left; column < std::min(left + 2, s.width); ++column)
                offsets[members++] = ((n * s.height + row) * s.width + column) * s.channels;
    }
};

// What comes after the norm, for one value: relu, then dropout. Both are known when this is
// compiled, so that loops over channels hold no branch.
template <bool kRelu, bool kDrop>
struct After {
    const uint8_t* kept;
    float kept_scale;

    inline float forward(float value, int64_t at) const {
        if (kRelu) value = std::max(value, 0.0f);
        if (kDrop) value *= static_cast<float>(kept[at]) * kept_scale;
        return value;
    }

    // `value` is what went into `forward`.
    inline float backward(float gradient, float value, int64_t at) const {
        if (kDrop) gradient *= static_cast<float>(kept[at]) * kept_scale;
        if (kRelu) gradient = value > 0.0f ? gradient : 0.0f;
        return gradient;
    }
};

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// out = after(factor * seen + offset), of the largest of each window where there is pooling.
template <typename T, bool kActFirst, bool kPool, int64_t kC, typename After>
void forward(const T* values, const float* bias, const float* factor, const float* offset,
             const After& after, Shape s, bool is_training, int threads, T* out, T* chosen,
             uint8_t* which) {
    const int64_t C = kC ? kC : s.channels;
    const Shape p = kPool ? s.pooled() : s;
    // By rows, so that one image alone keeps several threads busy.
#pragma omp parallel num_threads(threads)
    {
        std::vector<int32_t> winners(C);
        int32_t* winner = winners.data();
#pragma omp for schedule(static)
        for (int64_t row = 0; row < p.count * p.height; ++row)
            for (int64_t x = 0; x < p.width; ++x) {
                const Window<kPool> window(row / p.height, row % p.height, x, s);
                const int64_t at = (row * p.width + x) * C;
                // At the edge members are missing: the first stands in, and an equal never wins.
                const T* v0 = values + window.offsets[0];
                const T* v1 = values + window.offsets[window.members > 1 ? 1 : 0];
                const T* v2 = values + window.offsets[window.members > 2 ? 2 : 0];
                const T* v3 = values + window.offsets[window.members > 3 ? 3 : 0];
#pragma omp simd
                for (int64_t c = 0; c < C; ++c) {
                    float top = seen<kActFirst>(to_float(v0[c]), bias[c]);
                    if constexpr (kPool) {
                        // The norm rises or falls with its input, so the largest output belongs to
                        // the largest or the smallest input; comparing those makes no ties by
                        // rounding.
                        const float sign = factor[c] < 0.0f ? -1.0f : 1.0f;
                        const float t1 = seen<kActFirst>(to_float(v1[c]), bias[c]);
                        const float t2 = seen<kActFirst>(to_float(v2[c]), bias[c]);
                        const float t3 = seen<kActFirst>(to_float(v3[c]), bias[c]);
                        int32_t member = 0;
                        member = t1 * sign > top * sign ? 1 : member;
                        top = t1 * sign > top * sign ? t1 : top;
                        member = t2 * sign > top * sign ? 2 : member;
                        top = t2 * sign > top * sign ? t2 : top;
                        member = t3 * sign > top * sign ? 3 : member;
                        top = t3 * sign > top * sign ? t3 : top;
                        store(chosen + at + c, top);
                        winner[c] = member;
                    }
                    const float best = factor[c] * top + offset[c];
                    store(out + at + c, after.forward(best, at + c));
                }
                if constexpr (kPool) {
                    for (int64_t c = 0; c < C; ++c) which[at + c] = static_cast<uint8_t>(winner[c]);
                    // No comparison above finds what is no number. (In training none has to: the
                    // statistics are no number then, and so is all.)
                    if (is_training) continue;
#pragma omp simd
                    for (int64_t c = 0; c < C; ++c) {
                        const float t1 = to_float(v1[c]), t2 = to_float(v2[c]), t3 = to_float(v3[c]);
                        const bool is_lost = std::isnan(t1) | std::isnan(t2) | std::isnan(t3);
                        store(out + at + c, is_lost ? kNone : to_float(out[at + c]));
                    }
                }
            }
    }
}

// Sums over all (pooled) pixels of the gradient, and of the gradient times the normalised value.
// `there` is what the norm saw: `chosen` where there is pooling, else `values`.
template <typename T, bool kActFirst, bool kPool, int64_t kC, typename After>
std::vector<double> norm_sums(const T* gradient, const T* there, const float* bias,
                              const float* factor, const float* offset, const float* mean,
                              const float* inverse, const After& after, Shape p, int threads) {
    const int64_t C = kC ? kC : p.channels;
    return sum_over_rows(
        p.count * p.height, 2 * C, threads, [&](int64_t first, int64_t last, double* total) {
            std::vector<float> buffer(2 * C);
            float* sum = buffer.data();
            float* product = buffer.data() + C;
            for (int64_t row = first; row < last; ++row) {
                std::fill(buffer.begin(), buffer.end(), 0.0f);
                for (int64_t x = 0; x < p.width; ++x) {
                    const int64_t at = (row * p.width + x) * C;
#pragma omp simd
                    for (int64_t c = 0; c < C; ++c) {
                        // What pooling chose has been through the activation already.
                        const float raw = to_float(there[at + c]);
                        const float v = kPool ? raw : seen<kActFirst>(raw, bias[c]);
                        const float g = after.backward(to_float(gradient[at + c]),
                                                       factor[c] * v + offset[c], at + c);
                        sum[c] += g;
                        product[c] += g * (v - mean[c]) * inverse[c];
                    }
                }
                for (int64_t i = 0; i < 2 * C; ++i) total[i] += buffer[i];
            }
        });
}

// Writes the gradient with respect to `values` over them; returns its sums over all pixels.
template <typename T, bool kActFirst, bool kPool, int64_t kC, typename After>
std::vector<double> backward(T* values, const T* gradient, const T* chosen, const uint8_t* which,
                             const float* bias, const float* factor, const float* offset,
                             const float* slope, const float* level, const After& after, Shape s,
                             int threads) {
    const int64_t C = kC ? kC : s.channels;
    const Shape p = kPool ? s.pooled() : s;
    return sum_over_rows(
        p.count * p.height, C, threads, [&](int64_t first, int64_t last, double* total) {
            std::vector<float> sums(C), arrived(C);
            std::vector<int32_t> winners(C);
            float *sum = sums.data(), *g = arrived.data();
            int32_t* winner = winners.data();
            for (int64_t row = first; row < last; ++row) {
                std::fill(sums.begin(), sums.end(), 0.0f);
                for (int64_t x = 0; x < p.width; ++x) {
                    const int64_t at = (row * p.width + x) * C;
                    const Window<kPool> window(row / p.height, row % p.height, x, s);
#pragma omp simd
                    for (int64_t c = 0; c < C; ++c) {
                        const float raw = to_float(kPool ? chosen[at + c] : values[at + c]);
                        const float v = kPool ? raw : seen<kActFirst>(raw, bias[c]);
                        g[c] = factor[c] * after.backward(to_float(gradient[at + c]),
                                                          factor[c] * v + offset[c], at + c);
                    }
                    if constexpr (kPool)
                        for (int64_t c = 0; c < C; ++c) winner[c] = which[at + c];
                    for (int member = 0; member < window.members; ++member) {
                        T* v = values + window.offsets[member];
#pragma omp simd
                        for (int64_t c = 0; c < C; ++c) {
                            const float raw = to_float(v[c]) + (kActFirst ? bias[c] : 0.0f);
                            const float t = kActFirst ? std::max(raw, 0.0f) : raw;
                            const bool is_chosen = !kPool || winner[c] == member;
                            float dz = (is_chosen ? g[c] : 0.0f) - (t * slope[c] + level[c]);
                            if (kActFirst) dz = raw > 0.0f ? dz : 0.0f;
                            store(v + c, dz);
                            sum[c] += dz;
                        }
                    }
                }
                for (int64_t c = 0; c < C; ++c) total[c] += sums[c];
            }
        });
}

// What a call is told; the same structure as in blocks.py. Pointers to T are void here.
struct Call {
    void* values;
    const float *bias, *scale, *shift;
    const uint8_t* kept;  // null without dropout
    void *out, *chosen;
    uint8_t* which;
    float *mean, *variance;
    const void* gradient;
    float *d_bias, *d_scale, *d_shift;
    int64_t count, height, width, channels;
    float epsilon, kept_scale;
    int32_t is_relu_after, is_training, threads;

    Shape shape() const { return {count, height, width, channels}; }
};

// One channel's affine map: what batch norm does once the statistics are known.
struct Affine {
    std::vector<float> inverse, factor, offset;

    explicit Affine(const Call& call)
        : inverse(call.channels), factor(call.channels), offset(call.channels) {
        // One value is its own mean: what comes out is exactly the shift, and nothing flows back.
        const bool is_one = call.is_training && call.count * call.height * call.width == 1;
        for (int64_t c = 0; c < call.channels; ++c) {
            inverse[c] = is_one ? 0.0f : 1.0f / std::sqrt(call.variance[c] + call.epsilon);
            factor[c] = call.scale[c] * inverse[c];
            offset[c] = call.shift[c] - call.mean[c] * factor[c];
        }
    }
};

template <typename T, bool kActFirst, bool kPool, int64_t kC, typename After>
void run_forward(const Call& call, const After& after) {
    const Shape s = call.shape();
    const auto* values = static_cast<const T*>(call.values);
    if (call.is_training)
        statistics<T, kActFirst, kC>(values, call.bias, s, call.threads, call.mean, call.variance);
    const Affine norm(call);
    forward<T, kActFirst, kPool, kC>(values, call.bias, norm.factor.data(), norm.offset.data(),
                                     after, s, call.is_training, call.threads,
                                     static_cast<T*>(call.out), static_cast<T*>(call.chosen),
                                     call.which);
}

template <typename T, bool kActFirst, bool kPool, int64_t kC, typename After>
void run_backward(const Call& call, const After& after) {
    const Shape s = call.shape();
    const int64_t C = kC ? kC : s.channels;
    auto* values = static_cast<T*>(call.values);
    const auto* chosen = static_cast<const T*>(call.chosen);
    const auto* gradient = static_cast<const T*>(call.gradient);
    const Affine norm(call);
    const float *factor = norm.factor.data(), *offset = norm.offset.data();
    const auto sums = norm_sums<T, kActFirst, kPool, kC>(
        gradient, kPool ? chosen : values, call.bias, factor, offset, call.mean,
        norm.inverse.data(), after, kPool ? s.pooled() : s, call.threads);
    std::vector<float> slope(C), level(C);
    const double pixels = static_cast<double>(s.count * s.pixels());
    for (int64_t c = 0; c < C; ++c) {
        call.d_shift[c] = static_cast<float>(sums[c]);
        call.d_scale[c] = static_cast<float>(sums[C + c]);
        const double of_mean = factor[c] * sums[c] / pixels;
        const double of_value = factor[c] * norm.inverse[c] * sums[C + c] / pixels;
        slope[c] = static_cast<float>(of_value);
        level[c] = static_cast<float>(of_mean - call.mean[c] * of_value);
    }
    const auto bias_sums = backward<T, kActFirst, kPool, kC>(
        values, gradient, chosen, call.which, call.bias, factor, offset, slope.data(), level.data(),
        after, s, call.threads);
    for (int64_t c = 0; c < C; ++c) call.d_bias[c] = static_cast<float>(bias_sums[c]);
}

// Calls work(after) with the kind of `After` that the call means.
template <bool kActFirst, typename Work>
void with_after(const Call& call, const Work& work) {
    const uint8_t* kept = call.kept;
    if constexpr (!kActFirst) {
        if (call.is_relu_after && kept) return work(After<true, true>{kept, call.kept_scale});
        if (call.is_relu_after) return work(After<true, false>{kept, call.kept_scale});
    }
    if (kept) return work(After<false, true>{kept, call.kept_scale});
    work(After<false, false>{kept, call.kept_scale});
}

// The narrowest nets of the study have 8 channels, half a register: known beforehand, they are fast.
template <typename T, bool kActFirst>
constexpr int64_t kKnown = kActFirst && sizeof(T) == sizeof(float) ? 8 : 0;

template <typename T, bool kActFirst, bool kPool>
void block_forward(const Call& call) {
    with_after<kActFirst>(call, [&](const auto& after) {
        call.channels == kKnown<T, kActFirst>
            ? run_forward<T, kActFirst, kPool, kKnown<T, kActFirst>>(call, after)
            : run_forward<T, kActFirst, kPool, 0>(call, after);
    });
}

template <typename T, bool kActFirst, bool kPool>
void block_backward(const Call& call) {
    with_after<kActFirst>(call, [&](const auto& after) {
        call.channels == kKnown<T, kActFirst>
            ? run_backward<T, kActFirst, kPool, kKnown<T, kActFirst>>(call, after)
            : run_backward<T, kActFirst, kPool, 0>(call, after);
    });
}

}  // namespace

// What Python calls: one name for each combination of order, pooling and type.
#define MODISTE_BLOCK(NAME, T, FIRST, POOL)                                         \
    void NAME##_forward(const Call* call) { block_forward<T, FIRST, POOL>(*call); } \
    void NAME##_backward(const Call* call) { block_backward<T, FIRST, POOL>(*call); }

extern "C" {
MODISTE_BLOCK(first_pool_float32, float, true, true)
MODISTE_BLOCK(first_plain_float32, float, true, false)
MODISTE_BLOCK(after_pool_float32, float, false, true)
MODISTE_BLOCK(after_plain_float32, float, false, false)
MODISTE_BLOCK(first_pool_bfloat16, Bf16, true, true)
MODISTE_BLOCK(first_plain_bfloat16, Bf16, true, false)
MODISTE_BLOCK(after_pool_bfloat16, Bf16, false, true)
MODISTE_BLOCK(after_plain_bfloat16, Bf16, false, false)
}
