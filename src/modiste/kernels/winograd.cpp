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
// Tensors are float32. Images lie as N x H x W x C, kernels as O x 3 x 3 x I; channels come in
// panels of 32. Only tiles and panels are shared out between threads, never the terms of a sum, so
// that results do not depend on the number of threads.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

namespace {

constexpr int kTaps = 3;          // of the kernel on a side
constexpr int kPoints = 6;        // along each axis
constexpr int kSkipped = 4;       // the point that a tile of 3 pixels does without
constexpr int64_t kPanel = 32;    // channels that lie side by side

// Sixteen channels, wherever they lie; compilers make of it what the processor has.
typedef float Lanes __attribute__((vector_size(64)));
typedef float LooseLanes __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int64_t kLanes = 16;

inline Lanes load(const float* from) { return *reinterpret_cast<const LooseLanes*>(from); }
inline void store(float* to, Lanes value) { *reinterpret_cast<LooseLanes*>(to) = value; }

// --- along one axis ------------------------------------------------------------------------------

// The points are 0, +-kNear, +-kFar and infinity. With 1 and 2, the textbook's, outputs are off by
// 2.5e-6 of their size in float32; with these by 1.1e-6, where a sum in the usual order is off by
// 0.25e-6 (256 channels).
constexpr float kNear = 0.625f, kFar = 1.5f;
constexpr float kNear2 = kNear * kNear, kFar2 = kFar * kFar;
// Products of a point's distances to all others: what evaluations of the kernel are divided by.
constexpr float kOfZero = kNear2 * kFar2;
constexpr float kOfNear = 2.0f * kNear2 * (kNear2 - kFar2);
constexpr float kOfFar = 2.0f * kFar2 * (kFar2 - kNear2);

// A tile of 4 pixels takes all six points, one of 3 all but -kFar. Each of these functions is a
// matrix times a vector; the second of each pair is the transpose of the first, for the way back.
template <int kTile>
struct Axis;

template <>
struct Axis<4> {
    static constexpr int kImage = 6, kPoints = 6;
    static constexpr int point(int number) { return number; }

    static void image_to_points(const Lanes* d, Lanes* v) {
        const Lanes even_near = d[4] - kFar2 * d[2], odd_near = kNear * (d[3] - kFar2 * d[1]);
        const Lanes even_far = d[4] - kNear2 * d[2], odd_far = kFar * (d[3] - kNear2 * d[1]);
        v[0] = d[4] - (kNear2 + kFar2) * d[2] + kOfZero * d[0];
        v[1] = even_near + odd_near;
        v[2] = even_near - odd_near;
        v[3] = even_far + odd_far;
        v[4] = even_far - odd_far;
        v[5] = d[5] - (kNear2 + kFar2) * d[3] + kOfZero * d[1];
    }

    static void points_to_image(const Lanes* v, Lanes* d) {
        const Lanes even_near = v[1] + v[2], odd_near = kNear * (v[1] - v[2]);
        const Lanes even_far = v[3] + v[4], odd_far = kFar * (v[3] - v[4]);
        d[0] = kOfZero * v[0];
        d[1] = kOfZero * v[5] - kFar2 * odd_near - kNear2 * odd_far;
        d[2] = -(kNear2 + kFar2) * v[0] - kFar2 * even_near - kNear2 * even_far;
        d[3] = odd_near + odd_far - (kNear2 + kFar2) * v[5];
        d[4] = v[0] + even_near + even_far;
        d[5] = v[5];
    }

    static void points_to_output(const Lanes* m, Lanes* y) {
        const Lanes even_near = m[1] + m[2], odd_near = kNear * (m[1] - m[2]);
        const Lanes even_far = m[3] + m[4], odd_far = kFar * (m[3] - m[4]);
        y[0] = m[0] + even_near + even_far;
        y[1] = odd_near + odd_far;
        y[2] = kNear2 * even_near + kFar2 * even_far;
        y[3] = kNear2 * odd_near + kFar2 * odd_far + m[5];
    }

    static void output_to_points(const Lanes* y, Lanes* m) {
        const Lanes even_near = y[0] + kNear2 * y[2], odd_near = kNear * (y[1] + kNear2 * y[3]);
        const Lanes even_far = y[0] + kFar2 * y[2], odd_far = kFar * (y[1] + kFar2 * y[3]);
        m[0] = y[0];
        m[1] = even_near + odd_near;
        m[2] = even_near - odd_near;
        m[3] = even_far + odd_far;
        m[4] = even_far - odd_far;
        m[5] = y[3];
    }
};

// The same kernel at fewer points: what it was divided by too much stands here.
template <>
struct Axis<3> {
    static constexpr int kImage = 5, kPoints = 5;
    static constexpr int point(int number) { return number < 4 ? number : 5; }
    static constexpr float kSum = kFar + kNear, kDifference = kFar - kNear;

    static void image_to_points(const Lanes* d, Lanes* v) {
        v[0] = kFar * (d[3] - kFar * d[2] - kNear2 * d[1] + (kNear2 * kFar) * d[0]);
        v[1] = kSum * (d[3] - kDifference * d[2] - (kNear * kFar) * d[1]);
        v[2] = kDifference * (d[3] - kSum * d[2] + (kNear * kFar) * d[1]);
        v[3] = (2.0f * kFar) * (d[3] - kNear2 * d[1]);
        v[4] = d[4] - kFar * d[3] - kNear2 * d[2] + (kNear2 * kFar) * d[1];
    }

    static void points_to_image(const Lanes* v, Lanes* d) {
        const Lanes zero = kFar * v[0], plus = kSum * v[1], minus = kDifference * v[2];
        const Lanes far = (2.0f * kFar) * v[3];
        d[0] = (kNear2 * kFar) * zero;
        d[1] = (kNear2 * kFar) * v[4] + (kNear * kFar) * (minus - plus) - kNear2 * (zero + far);
        d[2] = -kFar * zero - kDifference * plus - kSum * minus - kNear2 * v[4];
        d[3] = zero + plus + minus + far - kFar * v[4];
        d[4] = v[4];
    }

    static void points_to_output(const Lanes* m, Lanes* y) {
        const Lanes even = m[1] + m[2];
        y[0] = m[0] + even + m[3];
        y[1] = kNear * (m[1] - m[2]) + kFar * m[3];
        y[2] = kNear2 * even + kFar2 * m[3] + m[4];
    }

    static void output_to_points(const Lanes* y, Lanes* m) {
        const Lanes even = y[0] + kNear2 * y[2], odd = kNear * y[1];
        m[0] = y[0];
        m[1] = even + odd;
        m[2] = even - odd;
        m[3] = y[0] + kFar * y[1] + kFar2 * y[2];
        m[4] = y[2];
    }
};

inline void kernel_to_points(const Lanes* g, Lanes* u) {
    const Lanes even_near = g[0] + kNear2 * g[2], odd_near = kNear * g[1];
    const Lanes even_far = g[0] + kFar2 * g[2], odd_far = kFar * g[1];
    u[0] = g[0] * (1.0f / kOfZero);
    u[1] = (even_near + odd_near) * (1.0f / kOfNear);
    u[2] = (even_near - odd_near) * (1.0f / kOfNear);
    u[3] = (even_far + odd_far) * (1.0f / kOfFar);
    u[4] = (even_far - odd_far) * (1.0f / kOfFar);
    u[5] = g[2];
}

inline void points_to_kernel(const Lanes* u, Lanes* g) {
    const Lanes even_near = (u[1] + u[2]) * (1.0f / kOfNear);
    const Lanes even_far = (u[3] + u[4]) * (1.0f / kOfFar);
    g[0] = u[0] * (1.0f / kOfZero) + even_near + even_far;
    g[1] = (u[1] - u[2]) * (kNear / kOfNear) + (u[3] - u[4]) * (kFar / kOfFar);
    g[2] = kNear2 * even_near + kFar2 * even_far + u[5];
}

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

// Rows of a product that are computed at once: as many as leave their sums in registers.
#if defined(__AVX512F__)
typedef float Register __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int64_t kTogether = 8;
#else
typedef float Register __attribute__((vector_size(32), aligned(4), may_alias));
constexpr int64_t kTogether = 4;
#endif
constexpr int64_t kWidth = sizeof(Register) / sizeof(float);

// c[r, 0:32] = [c[r, 0:32] +] sum over i, j of a[i * outer + j * kStep + r * kRow] * b[i, j, 0:32]
// for kTogether rows r; i below `many`, j below `inner`.
template <int64_t kStep, int64_t kRow>
inline void multiply(const float* a, int64_t outer, int64_t many, int64_t inner, const float* b,
                     float* c, bool adds) {
    for (int64_t left = 0; left < kPanel; left += 2 * kWidth) {
        Register sum[kTogether][2] = {};
        if (adds)
            for (int64_t r = 0; r < kTogether; ++r)
                for (int64_t half = 0; half < 2; ++half)
                    sum[r][half] = *reinterpret_cast<const Register*>(c + r * kPanel + left +
                                                                      half * kWidth);
        const float* right = b + left;
        for (int64_t i = 0; i < many; ++i) {
            const float* at = a + i * outer;
            for (int64_t j = 0; j < inner; ++j, at += kStep, right += kPanel) {
                const Register one = *reinterpret_cast<const Register*>(right);
                const Register two = *reinterpret_cast<const Register*>(right + kWidth);
#pragma GCC unroll 8
                for (int64_t r = 0; r < kTogether; ++r) {
                    sum[r][0] += at[r * kRow] * one;
                    sum[r][1] += at[r * kRow] * two;
                }
            }
        }
        for (int64_t r = 0; r < kTogether; ++r)
            for (int64_t half = 0; half < 2; ++half)
                *reinterpret_cast<Register*>(c + r * kPanel + left + half * kWidth) = sum[r][half];
    }
}

// --- tiles and where they lie --------------------------------------------------------------------

// What Python tells; the same structure as in ops.py.
struct Call {
    const float* images;
    const float* kernel;
    float* out;             // forward
    const float* gradient;  // backward, of `out`
    float* d_images;        // null where nobody asks
    float* d_kernel;
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
    explicit Block(const Call& call) : down_(call.height), across_(call.width) {
        const int64_t bytes = kPoints * kPoints * (call.inputs + call.outputs) * sizeof(float);
        const int64_t tiles = std::max(kBytes / bytes, kFewest);
        images = std::clamp<int64_t>(tiles / tiles_each(), 1, call.count);
        capacity = (images * tiles_each() + kTogether - 1) / kTogether * kTogether;
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
    static constexpr int64_t kBytes = 4 << 20, kFewest = 64;
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

// A rectangle of pixels with its corner at (top, left); what lies outside has no address.
template <int kHeight, int kWidth, typename Float>
struct Pixels {
    Float* at[kHeight][kWidth];

    Pixels(Float* images, int64_t image, int64_t top, int64_t left, int64_t channels,
           const Call& call) {
        for (int64_t y = 0; y < kHeight; ++y)
            for (int64_t x = 0; x < kWidth; ++x) {
                const int64_t row = top + y, column = left + x;
                const bool is_inside =
                    row >= 0 && row < call.height && column >= 0 && column < call.width;
                const int64_t pixel = (image * call.height + row) * call.width + column;
                at[y][x] = is_inside ? images + pixel * channels : nullptr;
            }
    }
};

// Numbers for every point, panel of channels and row; nothing is written to them beforehand. Points
// lie an odd number of cache lines apart, so that those of a tile are not all kept in the same few
// places of a cache.
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
    Panels(const Panels&) = delete;

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

template <Map kDown, Map kAcross, int kHeight, int kWidth, typename Down, typename Across>
void gather(const float* images, int64_t image, int64_t top, int64_t left, int64_t channels,
            const Call& call, const Panels& to, int64_t row) {
    const Pixels<kHeight, kWidth, const float> pixels(images, image, top, left, channels, call);
    for (int64_t c = 0; c < channels; c += kLanes) {
        Lanes in[kHeight][kWidth], out[Down::kPoints][Across::kPoints];
        for (int y = 0; y < kHeight; ++y)
            for (int x = 0; x < kWidth; ++x)
                in[y][x] = pixels.at[y][x] ? load(pixels.at[y][x] + c) : Lanes{};
        transform<kDown, kAcross>(in, out);
        float* place = to.at(0, c / kPanel, row) + c % kPanel;
        for (int y = 0; y < Down::kPoints; ++y)
            for (int x = 0; x < Across::kPoints; ++x)
                store(place + (Down::point(y) * kPoints + Across::point(x)) * to.step, out[y][x]);
    }
}

template <Map kDown, Map kAcross, int kHeight, int kWidth, bool kAdds, typename Down,
          typename Across>
void scatter(const Panels& from, int64_t row, int64_t image, int64_t top, int64_t left,
             int64_t channels, const Call& call, float* images) {
    const Pixels<kHeight, kWidth, float> pixels(images, image, top, left, channels, call);
    for (int64_t c = 0; c < channels; c += kLanes) {
        Lanes in[Down::kPoints][Across::kPoints], out[kHeight][kWidth];
        const float* place = from.at(0, c / kPanel, row) + c % kPanel;
        for (int y = 0; y < Down::kPoints; ++y)
            for (int x = 0; x < Across::kPoints; ++x)
                in[y][x] = load(place + (Down::point(y) * kPoints + Across::point(x)) * from.step);
        transform<kDown, kAcross>(in, out);
        for (int y = 0; y < kHeight; ++y)
            for (int x = 0; x < kWidth; ++x)
                if (float* pixel = pixels.at[y][x]) {
                    pixel += c;
                    store(pixel, kAdds ? load(pixel) + out[y][x] : out[y][x]);
                }
    }
}

// The four ways between images and points; `first` is the first image of the block.

void images_to_points(const Call& call, int64_t first, const Tile& tile, const Panels& to) {
    with_axes(tile, [&](auto down, auto across) {
        using Down = decltype(down);
        using Across = decltype(across);
        gather<Down::image_to_points, Across::image_to_points, Down::kImage, Across::kImage, Down,
               Across>(call.images, first + tile.image, tile.top - 1, tile.left - 1, call.inputs,
                       call, to, tile.row);
    });
}

void gradient_to_points(const Call& call, int64_t first, const Tile& tile, const Panels& to) {
    with_axes(tile, [&](auto down, auto across) {
        using Down = decltype(down);
        using Across = decltype(across);
        gather<Down::output_to_points, Across::output_to_points, Down::kImage - 2,
               Across::kImage - 2, Down, Across>(call.gradient, first + tile.image, tile.top,
                                                 tile.left, call.outputs, call, to, tile.row);
    });
}

void points_to_out(const Call& call, int64_t first, const Tile& tile, const Panels& from) {
    with_axes(tile, [&](auto down, auto across) {
        using Down = decltype(down);
        using Across = decltype(across);
        scatter<Down::points_to_output, Across::points_to_output, Down::kImage - 2,
                Across::kImage - 2, false, Down, Across>(from, tile.row, first + tile.image,
                                                         tile.top, tile.left, call.outputs, call,
                                                         call.out);
    });
}

void points_to_d_images(const Call& call, int64_t first, const Tile& tile, const Panels& from) {
    with_axes(tile, [&](auto down, auto across) {
        using Down = decltype(down);
        using Across = decltype(across);
        scatter<Down::points_to_image, Across::points_to_image, Down::kImage, Across::kImage, true,
                Down, Across>(from, tile.row, first + tile.image, tile.top - 1, tile.left - 1,
                              call.inputs, call, call.d_images);
    });
}

// The kernel at the points: panels of outputs with a row for each input, or the other way round.
template <bool kByInputs>
void kernels_to_points(const Call& call, const Panels& panels) {
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
void points_to_kernels(const Call& call, const Panels& panels) {
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

// Every point's rows times the kernel at that point. Those before and after, up to the
// next multiple of `kTogether`, hold anything, and nobody reads what becomes of them.
void products(const Block& block, int64_t images, const Panels& left, const Panels& kernel,
              const Panels& to) {
#pragma omp for schedule(static) collapse(2)
    for (int64_t p = 0; p < kPoints * kPoints; ++p)
        for (int64_t q = 0; q < to.number; ++q) {
            const Range rows = block.rows(p, images);
            for (int64_t t = rows.first / kTogether * kTogether; t < rows.last; t += kTogether)
                multiply<1, kPanel>(left.at(p, 0, t), left.rows * kPanel, left.number, kPanel,
                                    kernel.at(p, q, 0), to.at(p, q, t), false);
        }
}

// Sums over the tiles of inputs times outputs, at every point, added to what is there.
void outer_products(const Block& block, int64_t images, const Panels& inputs,
                    const Panels& outputs, const Panels& to, bool adds) {
#pragma omp for schedule(static) collapse(2)
    for (int64_t p = 0; p < kPoints * kPoints; ++p)
        for (int64_t q = 0; q < outputs.number; ++q) {
            const Range rows = block.rows(p, images);
            for (int64_t c = 0; c < to.rows; c += kTogether)
                multiply<kPanel, 1>(inputs.at(p, c / kPanel, rows.first) + c % kPanel, 0, 1,
                                    rows.last - rows.first, outputs.at(p, q, rows.first),
                                    to.at(p, q, c), adds);
        }
}

}  // namespace

extern "C" {

void conv3_forward(const Call* told) {
    const Call& call = *told;
    const Block block(call);
    const Panels inputs(call.inputs, block.capacity), outputs(call.outputs, block.capacity);
    const Panels kernel(call.outputs, call.inputs);
    const int64_t each = block.tiles_each();
#pragma omp parallel num_threads(call.threads)
    {
        kernels_to_points<false>(call, kernel);
        for (int64_t first = 0; first < call.count; first += block.images) {
            const int64_t images = std::min(block.images, call.count - first);
#pragma omp for schedule(static)
            for (int64_t t = 0; t < images * each; ++t)
                images_to_points(call, first, block.tile(t / each, t % each, images), inputs);
            products(block, images, inputs, kernel, outputs);
#pragma omp for schedule(static)
            for (int64_t t = 0; t < images * each; ++t)
                points_to_out(call, first, block.tile(t / each, t % each, images), outputs);
        }
    }
}

void conv3_backward(const Call* told) {
    const Call& call = *told;
    const Block block(call);
    const Panels inputs(call.inputs, block.capacity), outputs(call.outputs, block.capacity);
    const Panels kernel(call.inputs, call.d_images ? call.outputs : 0);
    const Panels sums(call.outputs, call.inputs);
    const int64_t each = block.tiles_each(), pixels = call.height * call.width * call.inputs;
#pragma omp parallel num_threads(call.threads)
    {
        if (call.d_images) kernels_to_points<true>(call, kernel);
        for (int64_t first = 0; first < call.count; first += block.images) {
            const int64_t images = std::min(block.images, call.count - first);
#pragma omp for schedule(static)
            for (int64_t t = 0; t < images * each; ++t) {
                const Tile tile = block.tile(t / each, t % each, images);
                images_to_points(call, first, tile, inputs);
                gradient_to_points(call, first, tile, outputs);
            }
            outer_products(block, images, inputs, outputs, sums, first > 0);
            if (!call.d_images) continue;
            products(block, images, outputs, kernel, inputs);
#pragma omp for schedule(static)
            for (int64_t n = 0; n < images; ++n) {  // its tiles overlap
                std::fill_n(call.d_images + (first + n) * pixels, pixels, 0.0f);
                for (int64_t t = 0; t < each; ++t)
                    points_to_d_images(call, first, block.tile(n, t, images), inputs);
            }
        }
        points_to_kernels(call, sums);
    }
}

}  // extern "C"
