// Rows of pixels, and sums over them.
//
// Tensors lie as N x H x W x C, in float32 or bfloat16; every sum is taken in float32 over a row of
// pixels and beyond that in float64, image by image in a fixed order, so that results do not depend
// on the number of threads. Loops run over the channels of one pixel, which lie side by side.

#ifndef MODISTE_ROWS_H_
#define MODISTE_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

struct Shape {
    int64_t count, height, width, channels;

    int64_t pixels() const { return height * width; }
    int64_t size() const { return pixels() * channels; }
    Shape pooled() const { return {count, (height + 1) / 2, (width + 1) / 2, channels}; }
};

// Rows of pixels are added up in so many slices, whatever the number of threads.
constexpr int64_t kSlices = 64;

// Calls work(first, last, total) for each slice of rows, where total holds `size` float64 sums that
// begin at 0, and adds the slices up in their order.
template <typename Work>
std::vector<double> sum_over_rows(int64_t rows, int64_t size, int threads, const Work& work) {
    const int64_t slices = std::min(rows, kSlices);
    std::vector<double> partial(slices * size, 0.0);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t slice = 0; slice < slices; ++slice)
        work(rows * slice / slices, rows * (slice + 1) / slices, &partial[slice * size]);
    for (int64_t slice = 1; slice < slices; ++slice)
        for (int64_t i = 0; i < size; ++i) partial[i] += partial[slice * size + i];
    partial.resize(size);
    return partial;
}

}  // namespace

#endif  // MODISTE_ROWS_H_
