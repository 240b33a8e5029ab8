// Convolutions over one channel: stride 1, padding 'same', an odd kernel. rows.h says how tensors lie
// and sums are taken.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "numbers.h"
#include "rows.h"

namespace {

// Channels that are computed together, in registers.
constexpr int64_t kLanes = 16;
constexpr int64_t kWidestSide = 7;

// The rows of an image under a window, with zeros around them.
class Band {
  public:
    Band(int64_t side, const Shape& s)
        : side_(side), half_(side / 2), s_(s), padded_(s.width + side - 1), rows_(side * padded_) {}

    const float* under(const float* images, int64_t row) {
        const int64_t n = row / s_.height, y = row % s_.height;
        std::fill(rows_.begin(), rows_.end(), 0.0f);
        for (int64_t ky = 0; ky < side_; ++ky) {
            const int64_t from = y + ky - half_;
            if (from >= 0 && from < s_.height)
                std::memcpy(&rows_[ky * padded_ + half_],
                            images + (n * s_.height + from) * s_.width, s_.width * sizeof(float));
        }
        return rows_.data();
    }

    int64_t padded() const { return padded_; }

  private:
    int64_t side_, half_;
    Shape s_;
    int64_t padded_;
    std::vector<float> rows_;
};

// out[n, y, x, c] = sum over the window of image * kernel[ky, kx, c].
template <typename T, int64_t kSide>
void conv1_forward(const float* images, const float* kernel, int64_t given, Shape s, int threads,
                   T* out) {
    const int64_t C = s.channels, side = kSide ? kSide : given;
#pragma omp parallel num_threads(threads)
    {
        Band band(side, s);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < s.count * s.height; ++row) {
            const float* pixels = band.under(images, row);
            T* o = out + row * s.width * C;
            for (int64_t c0 = 0; c0 < C; c0 += kLanes) {
                const int64_t lanes = std::min(kLanes, C - c0);
                float weights[(kSide ? kSide * kSide : kWidestSide * kWidestSide)][kLanes] = {};
                for (int64_t k = 0; k < side * side; ++k)
                    for (int64_t c = 0; c < lanes; ++c) weights[k][c] = kernel[k * C + c0 + c];
                for (int64_t x = 0; x < s.width; ++x) {
                    float total[kLanes] = {};
                    for (int64_t ky = 0; ky < side; ++ky)
                        for (int64_t kx = 0; kx < side; ++kx) {
                            const float pixel = pixels[ky * band.padded() + x + kx];
#pragma omp simd
                            for (int64_t c = 0; c < kLanes; ++c)
                                total[c] += pixel * weights[ky * side + kx][c];
                        }
                    T* place = o + x * C + c0;
                    if (lanes == kLanes)
#pragma omp simd
                        for (int64_t c = 0; c < kLanes; ++c) store(place + c, total[c]);
                    else
                        for (int64_t c = 0; c < lanes; ++c) store(place + c, total[c]);
                }
            }
        }
    }
}

// The gradient of the kernel, laid out as the kernel.
template <typename T, int64_t kSide>
void conv1_backward(const float* images, const T* gradient, int64_t given, Shape s, int threads,
                    float* d_kernel) {
    const int64_t C = s.channels, side = kSide ? kSide : given, taps = side * side;
    const auto sums = sum_over_rows(
        s.count * s.height, taps * C, threads, [&](int64_t first, int64_t last, double* total) {
            Band band(side, s);
            for (int64_t row = first; row < last; ++row) {
                const float* pixels = band.under(images, row);
                const T* g = gradient + row * s.width * C;
                for (int64_t c0 = 0; c0 < C; c0 += kLanes) {
                    const int64_t lanes = std::min(kLanes, C - c0);
                    float sum[(kSide ? kSide * kSide : kWidestSide * kWidestSide)][kLanes] = {};
                    for (int64_t x = 0; x < s.width; ++x) {
                        float arrived[kLanes] = {};
                        if (lanes == kLanes)
#pragma omp simd
                            for (int64_t c = 0; c < kLanes; ++c)
                                arrived[c] = to_float(g[x * C + c0 + c]);
                        else
                            for (int64_t c = 0; c < lanes; ++c)
                                arrived[c] = to_float(g[x * C + c0 + c]);
                        for (int64_t ky = 0; ky < side; ++ky)
                            for (int64_t kx = 0; kx < side; ++kx) {
                                const float pixel = pixels[ky * band.padded() + x + kx];
#pragma omp simd
                                for (int64_t c = 0; c < kLanes; ++c)
                                    sum[ky * side + kx][c] += pixel * arrived[c];
                            }
                    }
                    for (int64_t k = 0; k < taps; ++k)
                        for (int64_t c = 0; c < lanes; ++c) total[k * C + c0 + c] += sum[k][c];
                }
            }
        });
    for (int64_t i = 0; i < taps * C; ++i) d_kernel[i] = static_cast<float>(sums[i]);
}

}  // namespace

// What Python calls: one name for each type.
#define MODISTE_CONV1(NAME, T)                                                                \
    void NAME##_forward(const float* images, const float* kernel, int64_t side, int64_t n,    \
                        int64_t h, int64_t w, int64_t c, int32_t threads, T* out) {           \
        const auto run = side == 3 ? conv1_forward<T, 3> : conv1_forward<T, 0>;               \
        run(images, kernel, side, {n, h, w, c}, threads, out);                                \
    }                                                                                         \
    void NAME##_backward(const float* images, const T* gradient, int64_t side, int64_t n,     \
                         int64_t h, int64_t w, int64_t c, int32_t threads, float* d_kernel) { \
        const auto run = side == 3 ? conv1_backward<T, 3> : conv1_backward<T, 0>;             \
        run(images, gradient, side, {n, h, w, c}, threads, d_kernel);                         \
    }

extern "C" {
MODISTE_CONV1(conv1_float32, float)
MODISTE_CONV1(conv1_bfloat16, Bf16)
}
