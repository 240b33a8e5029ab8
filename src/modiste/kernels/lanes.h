// Sixteen numbers together, in the vectors that the processor has.

#ifndef MODISTE_LANES_H_
#define MODISTE_LANES_H_

#include <cstdint>

#include "numbers.h"

namespace {

constexpr int64_t kLanes = 16;
typedef float Lanes __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
// The same wherever they lie.
typedef float LooseLanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t LooseHalves __attribute__((vector_size(32), aligned(2), may_alias));

inline Lanes load(const float* from) { return *reinterpret_cast<const LooseLanes*>(from); }

inline Lanes load(const Bf16* from) {
    const Halves bits = *reinterpret_cast<const LooseHalves*>(from);
    return reinterpret_cast<Lanes>(__builtin_convertvector(bits, Words) << 16);
}

inline void store(float* to, Lanes value) { *reinterpret_cast<LooseLanes*>(to) = value; }

// Rounded as one by one; see numbers.h.
inline void store(Bf16* to, Lanes value) {
    const Words bits = reinterpret_cast<Words>(value);
    const Words rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    const Words quiet = (bits >> 16) | 0x40u;
    const Words none = reinterpret_cast<Words>((bits & 0x7FFFFFFFu) > 0x7F800000u);
    const Words chosen = (none & quiet) | (~none & rounded);
    *reinterpret_cast<LooseHalves*>(to) = __builtin_convertvector(chosen, Halves);
}

}  // namespace

#endif  // MODISTE_LANES_H_
