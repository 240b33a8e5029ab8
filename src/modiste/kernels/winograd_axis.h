// Between pixels and the points that polynomials are evaluated at, along one axis of a convolution
// with three taps; see winograd.cpp.

#ifndef MODISTE_WINOGRAD_AXIS_H_
#define MODISTE_WINOGRAD_AXIS_H_

#include "lanes.h"

namespace {

constexpr int kTaps = 3;     // of the kernel
constexpr int kPoints = 6;   // of all
constexpr int kSkipped = 4;  // the point that a tile of 3 pixels does without

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
    static constexpr int kTile = 4, kImage = 6, kPoints = 6;
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
    static constexpr int kTile = 3, kImage = 5, kPoints = 5;
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

// The two ends of a convolution, as an axis of a tile has them: the pixels that it reads, one more
// on each side, and those that it writes.
struct Read {
    static constexpr int kMargin = 1;

    template <typename Axis>
    struct Of {
        static constexpr int kSide = Axis::kImage, kPoints = Axis::kPoints;
        static constexpr auto to_points = Axis::image_to_points;
        static constexpr auto from_points = Axis::points_to_image;
    };
};

struct Written {
    static constexpr int kMargin = 0;

    template <typename Axis>
    struct Of {
        static constexpr int kSide = Axis::kTile, kPoints = Axis::kPoints;
        static constexpr auto to_points = Axis::output_to_points;
        static constexpr auto from_points = Axis::points_to_output;
    };
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

}  // namespace

#endif  // MODISTE_WINOGRAD_AXIS_H_
