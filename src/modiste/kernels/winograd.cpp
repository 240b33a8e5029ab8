// Convolutions 3 x 3 with stride 1 and padding 'same', by Winograd's minimal filtering: the same
// function of its inputs with about a third of the multiplications.
//
// An output of 4 x 4 pixels takes 16 x 9 products for each pair of channels, one for each tap of
// each pixel. Seen as a product of polynomials it takes 6 x 6: image and kernel are evaluated at
// six points along each axis, multiplied point by point, and outputs are read off what that gives.
// At each point the sum over channels is a matrix product, of all tiles at once. The way back is
// the same steps transposed.
//
// S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin and S. Gray, Fast Algorithms
// for Convolutional Neural Networks (2016), arXiv:1509.09308. The points are our own choice (see
// `kNear`), and so is that sides are cut into tiles of 4 and of 3 pixels, where theirs hang over.
//
// Images lie as N x H x W x C, in float32 or bfloat16, kernels as O x 3 x 3 x I in float32, as is
// all that is computed; channels are a multiple of 16. Only tiles and panels are shared out between
// threads, never the terms of a sum, so that results do not depend on the number of threads.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include <omp.h>

#include "winograd_axis.h"

namespace {

// Channels that lie side by side are 32, or 16 where these do not divide them.
constexpr int64_t kWide = 32, kNarrow = 16;
// Inputs times outputs of a layer that is narrow, and the slices that its images come in.
constexpr int64_t kNarrowProduct = 8192, kSlices = 16;

using Map = void (*)(const Lanes*, Lanes*);

// Down each column by one, then along each row by the other.
template <Map kDown, Map kAcross, int kInY, int kInX, int kOutY, int kOutX>
inline void transform(const Lanes (&in)[kInY][kInX], Lanes (&out)[kOutY][kOutX]) {
    Lanes half[kOutY][kInX];
    for (int x = 0; x < kInX; ++x) {
        Lanes column[kInY], found[kOutY];
        for (int y = 0; y < kInY; ++y) column[y] = in[y][x];
        kDown(column, found);
        for (int y = 0; y < kOutY; ++y) half[y][x] = found[y];
    }
    for (int y = 0; y < kOutY; ++y) kAcross(half[y], out[y]);
}

// --- the products --------------------------------------------------------------------------------

#if defined(__AVX512F__)
constexpr int64_t kWidth = 16, kSums = 16;
#else
constexpr int64_t kWidth = 8, kSums = 8;
#endif
// One of the processor's vectors; `kSums` of them leave others free.
typedef float Register __attribute__((vector_size(kWidth * 4), aligned(4), may_alias));

// How the rows and the panels of a product are cut, so that its sums stay in registers.
template <int64_t kPanel>
struct Cutting {
    static constexpr int64_t kBeside = std::min<int64_t>(kPanel / kWidth, 2);
    static constexpr int64_t kRows = kSums / kBeside;
};
constexpr int64_t kMostRows = kSums;

// c[r, :] = [c[r, :] +] sum over i, j of a[i * outer + j * kStep + r * kRow] * b[i, j, :] for
// so many rows r as are computed at once and the columns of a panel; i below `many`, j below
// `inner`. What is there is added last: a sum of sums is rounded less than one long sum.
template <int64_t kPanel, int64_t kStep, int64_t kRow>
inline void multiply(const float* a, int64_t outer, int64_t many, int64_t inner, const float* b,
                     float* c, bool adds) {
    constexpr int64_t kRows = Cutting<kPanel>::kRows, kBeside = Cutting<kPanel>::kBeside;
    for (int64_t left = 0; left < kPanel; left += kBeside * kWidth) {
        Register sum[kRows][kBeside] = {};
        const auto place = [&](int64_t r, int64_t n) {
            return reinterpret_cast<Register*>(c + r * kPanel + left + n * kWidth);
        };
        const float* right = b + left;
        for (int64_t i = 0; i < many; ++i) {
            const float* at = a + i * outer;
            for (int64_t j = 0; j < inner; ++j, at += kStep, right += kPanel) {
                Register row[kBeside];
                for (int64_t n = 0; n < kBeside; ++n)
                    row[n] = *reinterpret_cast<const Register*>(right + n * kWidth);
#pragma GCC unroll 16
                for (int64_t r = 0; r < kRows; ++r)
                    for (int64_t n = 0; n < kBeside; ++n) sum[r][n] += at[r * kRow] * row[n];
            }
        }
        for (int64_t r = 0; r < kRows; ++r)
            for (int64_t n = 0; n < kBeside; ++n)
                *place(r, n) = adds ? *place(r, n) + sum[r][n] : sum[r][n];
    }
}

// --- tiles and where they lie --------------------------------------------------------------------

// What Python tells; the same structure as in convolutions.py. Pointers to T are void here.
struct Call {
    const void* images;
    const float* kernel;
    void* out;             // forward
    const void* gradient;  // backward, of `out`
    void* d_images;        // null where nobody asks
    float* d_kernel;       // and so here
    int64_t count, height, width, inputs, outputs;
    int32_t threads;
};

// How a side is cut into tiles: so many of 4 pixels, then so many of 3, with no rest if possible.
struct Cut {
    int64_t longs, shorts;

    explicit Cut(int64_t side) {
        const int64_t tiles = (side + 3) / 4, missing = 4 * tiles - side;
        shorts = missing <= tiles ? missing : 0;
        longs = tiles - shorts;
    }

    int64_t tiles() const { return longs + shorts; }
    bool is_short(int64_t tile) const { return tile >= longs; }
    int64_t start(int64_t tile) const { return 4 * tile - std::max<int64_t>(tile - longs, 0); }
};

struct Range {
    int64_t first, last;
};

struct Tile {
    int64_t image, top, left, row;
    bool is_low, is_narrow;  // of 3 pixels that way
};

// Some images together, as many as keep their points in the caches. The tiles of one kind lie
// together, in an order in which those that take a point are neighbours, whichever point it is: low
// ones, low nor narrow, narrow ones, both.
class Block {
  public:
    Block(const Call& call, bool is_shared) : down_(call.height), across_(call.width) {
        const int64_t bytes = kPoints * kPoints * (call.inputs + call.outputs) * sizeof(float);
        const int64_t tiles = is_shared ? std::max(kShared / bytes, kFewest) : kOwn / bytes;
        images = std::clamp<int64_t>(tiles / tiles_each(), 1, call.count);
        capacity = (images * tiles_each() + kMostRows - 1) / kMostRows * kMostRows;
    }

    int64_t images;    // at most
    int64_t capacity;  // rows for their tiles, and up to the next multiple

    int64_t tiles_each() const { return down_.tiles() * across_.tiles(); }

    // Tile t of an image, where so many images are together.
    Tile tile(int64_t image, int64_t t, int64_t together) const {
        const int64_t y = t / across_.tiles(), x = t % across_.tiles();
        const bool is_low = down_.is_short(y), is_narrow = across_.is_short(x);
        const int64_t line = is_low ? y - down_.longs : y;
        const int64_t place = is_narrow ? x - across_.longs : x;
        const int64_t lines = is_low ? down_.shorts : down_.longs;
        const int64_t places = is_narrow ? across_.shorts : across_.longs;
        const int64_t row = start(kind(is_low, is_narrow), together) +
                            (image * lines + line) * places + place;
        return {image, down_.start(y), across_.start(x), row, is_low, is_narrow};
    }

    // The rows that take a point, where so many images are together.
    Range rows(int64_t point, int64_t together) const {
        const bool is_tall = point / kPoints == kSkipped, is_wide = point % kPoints == kSkipped;
        return {start(is_tall ? 1 : 0, together),
                start(is_wide ? 2 : is_tall ? 3 : 4, together)};
    }

  private:
    static constexpr int64_t kOwn = 512 << 10, kShared = 4 << 20, kFewest = 64;
    Cut down_, across_;

    static int kind(bool is_low, bool is_narrow) {
        return is_low ? (is_narrow ? 3 : 0) : (is_narrow ? 2 : 1);
    }

    int64_t start(int kind, int64_t together) const {
        const int64_t sizes[] = {down_.shorts * across_.longs, down_.longs * across_.longs,
                                 down_.longs * across_.shorts, down_.shorts * across_.shorts};
        int64_t before = 0;
        for (int each = 0; each < kind; ++each) before += sizes[each];
        return together * before;
    }
};

// Images, and the places of a rectangle of pixels in one of them; what lies outside has none.
template <typename T>
struct Images {
    T* data;
    int64_t height, width, channels;

    template <int kHeight, int kWidth>
    void find(int64_t image, int64_t top, int64_t left, T* (&at)[kHeight][kWidth]) const {
        for (int64_t y = 0; y < kHeight; ++y)
            for (int64_t x = 0; x < kWidth; ++x) {
                const int64_t row = top + y, column = left + x;
                const bool is_inside = row >= 0 && row < height && column >= 0 && column < width;
                const int64_t pixel = (image * height + row) * width + column;
                at[y][x] = is_inside ? data + pixel * channels : nullptr;
            }
    }
};

// What lies where the convolution reads from, or where it writes to.
template <typename T, typename Data>
Images<T> read(const Call& call, Data* data) {
    return {static_cast<T*>(data), call.height, call.width, call.inputs};
}

template <typename T, typename Data>
Images<T> written(const Call& call, Data* data) {
    return {static_cast<T*>(data), call.height, call.width, call.outputs};
}

// Numbers for every point, panel of channels and row; nothing is written to them beforehand. Points
// lie an odd number of cache lines apart, so that those of a tile are not all kept in the same few
// places of a cache.
template <int64_t kPanel>
class Panels {
  public:
    const int64_t number, rows, step;

    Panels(int64_t channels, int64_t rows)
        : number(channels / kPanel),
          rows(rows),
          step(number * rows * kPanel + kLanes),
          data_(static_cast<float*>(
              ::operator new(kPoints * kPoints * step * sizeof(float), kLine))) {}
    ~Panels() { ::operator delete(data_, kLine); }
    Panels(Panels&& other) : number(other.number), rows(other.rows), step(other.step) {
        data_ = std::exchange(other.data_, nullptr);
    }

    float* at(int64_t point, int64_t panel, int64_t row) const {
        return data_ + point * step + (panel * rows + row) * kPanel;
    }

  private:
    static constexpr std::align_val_t kLine{64};
    float* data_;
};

// Calls work with the two kinds of axis that a tile has.
template <typename Work>
void with_axes(const Tile& tile, const Work& work) {
    if (tile.is_low)
        tile.is_narrow ? work(Axis<3>(), Axis<3>()) : work(Axis<3>(), Axis<4>());
    else
        tile.is_narrow ? work(Axis<4>(), Axis<3>()) : work(Axis<4>(), Axis<4>());
}

// What the pixels of a tile are at the points. `End` is one end of the convolution.
template <typename End, typename T, int64_t kPanel>
void to_points(const Images<const T>& images, int64_t image, const Tile& tile,
               const Panels<kPanel>& to) {
    with_axes(tile, [&](auto down, auto across) {
        using Down = typename End::template Of<decltype(down)>;
        using Across = typename End::template Of<decltype(across)>;
        const T* at[Down::kSide][Across::kSide];
        images.find(image, tile.top - End::kMargin, tile.left - End::kMargin, at);
        for (int64_t c = 0; c < images.channels; c += kLanes) {
            Lanes in[Down::kSide][Across::kSide], out[Down::kPoints][Across::kPoints];
            for (int y = 0; y < Down::kSide; ++y)
                for (int x = 0; x < Across::kSide; ++x)
                    in[y][x] = at[y][x] ? load(at[y][x] + c) : Lanes{};
            transform<Down::to_points, Across::to_points>(in, out);
            float* place = to.at(0, c / kPanel, tile.row) + c % kPanel;
            for (int y = 0; y < Down::kPoints; ++y)
                for (int x = 0; x < Across::kPoints; ++x)
                    store(place + (down.point(y) * kPoints + across.point(x)) * to.step, out[y][x]);
        }
    });
}

// What the points of a tile are as pixels: stored, or added to what is there.
template <typename End, bool kAdds, typename T, int64_t kPanel>
void from_points(const Panels<kPanel>& from, const Tile& tile, const Images<T>& images,
                 int64_t image) {
    with_axes(tile, [&](auto down, auto across) {
        using Down = typename End::template Of<decltype(down)>;
        using Across = typename End::template Of<decltype(across)>;
        T* at[Down::kSide][Across::kSide];
        images.find(image, tile.top - End::kMargin, tile.left - End::kMargin, at);
        for (int64_t c = 0; c < images.channels; c += kLanes) {
            Lanes in[Down::kPoints][Across::kPoints], out[Down::kSide][Across::kSide];
            const float* place = from.at(0, c / kPanel, tile.row) + c % kPanel;
            for (int y = 0; y < Down::kPoints; ++y)
                for (int x = 0; x < Across::kPoints; ++x)
                    in[y][x] =
                        load(place + (down.point(y) * kPoints + across.point(x)) * from.step);
            transform<Down::from_points, Across::from_points>(in, out);
            for (int y = 0; y < Down::kSide; ++y)
                for (int x = 0; x < Across::kSide; ++x)
                    if (T* pixel = at[y][x]) {
                        pixel += c;
                        store(pixel, kAdds ? load(pixel) + out[y][x] : out[y][x]);
                    }
        }
    });
}

// The kernel at the points: panels of outputs with a row for each input, or the other way round.
template <bool kByInputs, int64_t kPanel>
void kernels_to_points(const Call& call, const Panels<kPanel>& panels) {
#pragma omp for schedule(static) collapse(2)
    for (int64_t k0 = 0; k0 < call.outputs; k0 += kLanes)
        for (int64_t c = 0; c < call.inputs; c += kLanes) {
            float found[kPoints * kPoints][kLanes][kLanes];
            for (int64_t k = 0; k < kLanes; ++k) {
                Lanes in[kTaps][kTaps], out[kPoints][kPoints];
                for (int y = 0; y < kTaps; ++y)
                    for (int x = 0; x < kTaps; ++x)
                        in[y][x] = load(call.kernel +
                                        (((k0 + k) * kTaps + y) * kTaps + x) * call.inputs + c);
                transform<kernel_to_points, kernel_to_points>(in, out);
                for (int p = 0; p < kPoints * kPoints; ++p)
                    store(found[p][k], out[p / kPoints][p % kPoints]);
            }
            for (int p = 0; p < kPoints * kPoints; ++p)
                for (int64_t i = 0; i < kLanes; ++i) {
                    float row[kLanes];
                    for (int64_t j = 0; j < kLanes; ++j)
                        row[j] = kByInputs ? found[p][i][j] : found[p][j][i];
                    float* place = kByInputs ? panels.at(p, c / kPanel, k0 + i) + c % kPanel
                                             : panels.at(p, k0 / kPanel, c + i) + k0 % kPanel;
                    std::memcpy(place, row, sizeof row);
                }
        }
}

// The kernel's gradient from what it is at the points: panels of outputs, a row for each input.
template <int64_t kPanel>
void points_to_kernels(const Call& call, const Panels<kPanel>& panels) {
#pragma omp for schedule(static) collapse(2)
    for (int64_t c0 = 0; c0 < call.inputs; c0 += kLanes)
        for (int64_t k = 0; k < call.outputs; k += kLanes) {
            float found[kTaps * kTaps][kLanes][kLanes];
            for (int64_t c = 0; c < kLanes; ++c) {
                Lanes in[kPoints][kPoints], out[kTaps][kTaps];
                for (int p = 0; p < kPoints * kPoints; ++p)
                    in[p / kPoints][p % kPoints] =
                        load(panels.at(p, k / kPanel, c0 + c) + k % kPanel);
                transform<points_to_kernel, points_to_kernel>(in, out);
                for (int tap = 0; tap < kTaps * kTaps; ++tap)
                    store(found[tap][c], out[tap / kTaps][tap % kTaps]);
            }
            for (int64_t i = 0; i < kLanes; ++i)
                for (int tap = 0; tap < kTaps * kTaps; ++tap) {
                    float row[kLanes];
                    for (int64_t j = 0; j < kLanes; ++j) row[j] = found[tap][j][i];
                    std::memcpy(call.d_kernel + ((k + i) * kTaps * kTaps + tap) * call.inputs + c0,
                                row, sizeof row);
                }
        }
}

// Every point's rows times the kernel at that point. Those before and after, up to the next
// multiple of the rows that are computed at once, hold anything; nobody reads what becomes of them.
template <int64_t kPanel>
void products(const Block& block, int64_t images, const Panels<kPanel>& left,
              const Panels<kPanel>& kernel, const Panels<kPanel>& to) {
    constexpr int64_t kRows = Cutting<kPanel>::kRows;
#pragma omp for schedule(static) collapse(2)
    for (int64_t p = 0; p < kPoints * kPoints; ++p)
        for (int64_t q = 0; q < to.number; ++q) {
            const Range rows = block.rows(p, images);
            for (int64_t t = rows.first / kRows * kRows; t < rows.last; t += kRows)
                multiply<kPanel, 1, kPanel>(left.at(p, 0, t), left.rows * kPanel, left.number,
                                            kPanel, kernel.at(p, q, 0), to.at(p, q, t), false);
        }
}

// Sums over the tiles of inputs times outputs, at every point, added to what is there.
template <int64_t kPanel>
void outer_products(const Block& block, int64_t images, const Panels<kPanel>& inputs,
                    const Panels<kPanel>& outputs, const Panels<kPanel>& to, bool adds) {
#pragma omp for schedule(static) collapse(2)
    for (int64_t p = 0; p < kPoints * kPoints; ++p)
        for (int64_t q = 0; q < outputs.number; ++q) {
            const Range rows = block.rows(p, images);
            for (int64_t c = 0; c < to.rows; c += Cutting<kPanel>::kRows)
                multiply<kPanel, kPanel, 1>(inputs.at(p, c / kPanel, rows.first) + c % kPanel, 0, 1,
                                            rows.last - rows.first, outputs.at(p, q, rows.first),
                                            to.at(p, q, c), adds);
        }
}

// Adds all others to the first, in their order.
template <int64_t kPanel>
void add_up(const std::vector<Panels<kPanel>>& sums) {
    const int64_t size = kPoints * kPoints * sums[0].step;
    float* total = sums[0].at(0, 0, 0);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < size; i += kLanes)
        for (size_t slice = 1; slice < sums.size(); ++slice)
            store(total + i, load(total + i) + load(sums[slice].at(0, 0, 0) + i));
}

// --- the whole -----------------------------------------------------------------------------------

// Of narrow layers each thread takes some images for itself: what one core has written another
// reads slowly, most of all where they share no cache. Of wide ones, whose kernels fill a cache,
// all threads work on the same images.
bool is_shared(const Call& call) { return call.inputs * call.outputs > kNarrowProduct; }

// Images are cut into so many slices, whatever the number of threads.
int64_t slices(const Call& call) {
    return is_shared(call) ? 1 : std::min(call.count, kSlices);
}

// Where a team of threads, or one alone, works on some images.
template <int64_t kPanel>
struct Bench {
    Block block;
    Panels<kPanel> inputs, outputs;
    std::vector<std::vector<float>> image;  // one for each thread of the team

    Bench(const Call& call, int64_t team)
        : block(call, is_shared(call)),
          inputs(call.inputs, block.capacity),
          outputs(call.outputs, block.capacity),
          image(team) {
        if (call.d_images)
            for (auto& each : image) each.resize(call.height * call.width * call.inputs);
    }
};

// Calls work(bench, slice, first, last) in a team of one, in which a loop that is shared out is the
// thread's own. A function by itself, or GCC writes back what it hands in, which others read.
template <int64_t kPanel, typename Work>
__attribute__((noinline)) void alone(const Work& work, Bench<kPanel>& bench, int64_t slice,
                                     int64_t first, int64_t last) {
#pragma omp parallel num_threads(1)
    work(bench, slice, first, last);
}

// Calls work(bench, slice, first, last) for each slice of images: by all threads together where
// there is one, else by a thread for itself.
template <int64_t kPanel, typename Work>
void for_slices(const Call& call, const Work& work) {
    const int64_t count = slices(call);
    const bool is_one = is_shared(call);
    std::vector<Bench<kPanel>> benches;  // all at once: nothing may fail where threads are at work
    for (int64_t n = 0; n < (is_one ? 1 : std::min<int64_t>(count, call.threads)); ++n)
        benches.emplace_back(call, is_one ? call.threads : 1);
    if (is_one) {
#pragma omp parallel num_threads(call.threads)
        work(benches[0], 0, 0, call.count);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(benches.size())
    for (int64_t slice = 0; slice < count; ++slice)
        alone(work, benches[omp_get_thread_num()], slice, call.count * slice / count,
              call.count * (slice + 1) / count);
}

template <typename T, int64_t kPanel>
void forward(const Call& call) {
    const auto images = read<const T>(call, call.images);
    const auto out = written<T>(call, call.out);
    const Panels<kPanel> kernel(call.outputs, call.inputs);
#pragma omp parallel num_threads(call.threads)
    kernels_to_points<false>(call, kernel);
    const auto work = [&](Bench<kPanel>& bench, int64_t, int64_t begin, int64_t end) {
        const Block& block = bench.block;
        const int64_t each = block.tiles_each();
        for (int64_t first = begin; first < end; first += block.images) {
            const int64_t many = std::min(block.images, end - first);
#pragma omp for schedule(static)
            for (int64_t t = 0; t < many * each; ++t) {
                const Tile tile = block.tile(t / each, t % each, many);
                to_points<Read>(images, first + tile.image, tile, bench.inputs);
            }
            products(block, many, bench.inputs, kernel, bench.outputs);
#pragma omp for schedule(static)
            for (int64_t t = 0; t < many * each; ++t) {
                const Tile tile = block.tile(t / each, t % each, many);
                from_points<Written, false>(bench.outputs, tile, out, first + tile.image);
            }
        }
    };
    for_slices<kPanel>(call, work);
}

template <typename T, int64_t kPanel>
void backward(const Call& call) {
    const auto images = read<const T>(call, call.images);
    const auto gradient = written<const T>(call, call.gradient);
    const Panels<kPanel> kernel(call.inputs, call.d_images ? call.outputs : 0);
    if (call.d_images) {
#pragma omp parallel num_threads(call.threads)
        kernels_to_points<true>(call, kernel);
    }
    std::vector<Panels<kPanel>> sums;
    for (int64_t slice = 0; call.d_kernel && slice < slices(call); ++slice)
        sums.emplace_back(call.outputs, call.inputs);
    const int64_t size = call.height * call.width * call.inputs;
    const auto work = [&](Bench<kPanel>& bench, int64_t slice, int64_t begin, int64_t end) {
        const Block& block = bench.block;
        const int64_t each = block.tiles_each();
        std::vector<float>& image = bench.image[omp_get_thread_num()];
        for (int64_t first = begin; first < end; first += block.images) {
            const int64_t many = std::min(block.images, end - first);
#pragma omp for schedule(static)
            for (int64_t t = 0; t < many * each; ++t) {
                const Tile tile = block.tile(t / each, t % each, many);
                to_points<Read>(images, first + tile.image, tile, bench.inputs);
                to_points<Written>(gradient, first + tile.image, tile, bench.outputs);
            }
            if (call.d_kernel)
                outer_products(block, many, bench.inputs, bench.outputs, sums[slice],
                               first > begin);
            if (!call.d_images) continue;
            products(block, many, bench.outputs, kernel, bench.inputs);
#pragma omp for schedule(static)
            for (int64_t n = 0; n < many; ++n) {
                std::fill(image.begin(), image.end(), 0.0f);
                for (int64_t t = 0; t < each; ++t)
                    from_points<Read, true>(bench.inputs, block.tile(n, t, many),
                                            read<float>(call, image.data()), 0);
                T* place = static_cast<T*>(call.d_images) + (first + n) * size;
                for (int64_t i = 0; i < size; i += kLanes) store(place + i, load(&image[i]));
            }
        }
    };
    for_slices<kPanel>(call, work);
    if (!call.d_kernel) return;
#pragma omp parallel num_threads(call.threads)
    {
        add_up(sums);
        points_to_kernels(call, sums[0]);
    }
}

template <typename T>
void run_forward(const Call& call) {
    (call.inputs | call.outputs) % kWide ? forward<T, kNarrow>(call) : forward<T, kWide>(call);
}

template <typename T>
void run_backward(const Call& call) {
    (call.inputs | call.outputs) % kWide ? backward<T, kNarrow>(call) : backward<T, kWide>(call);
}

// 0, or 1 where there was no memory: what is thrown must not leave.
template <typename Run>
int32_t tried(Run run, const Call* call) {
    try {
        run(*call);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

extern "C" {
int32_t conv3_float32_forward(const Call* call) { return tried(run_forward<float>, call); }
int32_t conv3_float32_backward(const Call* call) { return tried(run_backward<float>, call); }
int32_t conv3_bfloat16_forward(const Call* call) { return tried(run_forward<Bf16>, call); }
int32_t conv3_bfloat16_backward(const Call* call) { return tried(run_backward<Bf16>, call); }
}
