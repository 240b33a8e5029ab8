// float32 and bfloat16, one by one and sixteen together.

#ifndef MODISTE_NUMBERS_H_
#define MODISTE_NUMBERS_H_

#include <cstdint>
#include <cstring>

namespace {

struct Bf16 {
    uint16_t bits;
};

inline float to_float(float value) { return value; }

inline float to_float(Bf16 value) {
    const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float answer;
    std::memcpy(&answer, &bits, sizeof answer);
    return answer;
}

inline void store(float* place, float value) { *place = value; }

// To the nearest, ties to even; what is no number stays none.
inline void store(Bf16* place, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    const uint32_t quiet = (bits >> 16) | 0x40u;
    place->bits = static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}

}  // namespace

#endif  // MODISTE_NUMBERS_H_
