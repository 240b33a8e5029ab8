// A batch cut from the set that lies in memory: chosen images, from bytes to numbers, in one pass.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <cstdint>

namespace {

// Below this a second thread costs more than it does.
constexpr int64_t kWorthThreads = 16384;
// Images are chosen at random out of more than a cache holds: they are fetched so far ahead.
constexpr int64_t kAhead = 4, kLine = 64;

}  // namespace

extern "C" {

// out[n][c][p] = images[which[n]][c][p] * factor[c], for `count` images out of `all`. Returns 0, and
// has written nothing, where one of them is not there.
int32_t take_float32(const uint8_t* images, const int64_t* which, const float* factor, float* out,
                     int64_t all, int64_t channels, int64_t pixels, int64_t count,
                     int32_t threads) {
    for (int64_t n = 0; n < count; ++n)
        if (which[n] < 0 || which[n] >= all) return 0;
    const int64_t size = channels * pixels;
#pragma omp parallel for num_threads(threads) if (count * size >= kWorthThreads)
    for (int64_t n = 0; n < count; ++n) {
        if (n + kAhead < count)
            for (int64_t byte = 0; byte < size; byte += kLine)
                __builtin_prefetch(images + which[n + kAhead] * size + byte);
        for (int64_t c = 0; c < channels; ++c) {
            const uint8_t* __restrict from = images + which[n] * size + c * pixels;
            float* __restrict to = out + n * size + c * pixels;
            const float times = factor[c];
            for (int64_t p = 0; p < pixels; ++p) to[p] = static_cast<float>(from[p]) * times;
        }
    }
    return 1;
}

}  // extern "C"
