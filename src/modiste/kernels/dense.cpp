// What comes after a dense layer's product, in one pass: relu and dropout, in place.
//
// Dropout draws what NumPy would draw: SFC64, started by a SeedSequence, byte by byte in the order
// of memory (modiste.train.noise). Drawing it here saves three passes over memory, and of a small
// net's step the time that NumPy's start takes.
//
// Compiled by modiste.kernels.build; called by modiste.kernels.ops, which checks every argument.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

// numpy.random.SeedSequence with its pool of four words: M. E. O'Neill's seed_seq_fe, as described
// in NumPy's documentation of that class.
class SeedSequence {
   public:
    SeedSequence(const uint32_t* entropy, int64_t words) {
        uint32_t constant = 0x43b0d7e5u;
        const auto hash = [&constant](uint32_t value) {
            value ^= constant;
            constant *= 0x931e8875u;
            value *= constant;
            return value ^ (value >> 16);
        };
        for (int64_t i = 0; i < kPool; ++i) pool_[i] = hash(i < words ? entropy[i] : 0u);
        for (int64_t from = 0; from < kPool; ++from)
            for (int64_t to = 0; to < kPool; ++to)
                if (from != to) pool_[to] = mixed(pool_[to], hash(pool_[from]));
        for (int64_t from = kPool; from < words; ++from)
            for (int64_t to = 0; to < kPool; ++to) pool_[to] = mixed(pool_[to], hash(entropy[from]));
    }

    // The first words of its state, two to a number, the lower one first.
    void fill(uint64_t* state, int64_t numbers) const {
        uint32_t constant = 0x8b51f9ddu;
        for (int64_t i = 0; i < 2 * numbers; ++i) {
            uint32_t value = pool_[i % kPool] ^ constant;
            constant *= 0x58f38dedu;
            value *= constant;
            value ^= value >> 16;
            if (i % 2)
                state[i / 2] |= static_cast<uint64_t>(value) << 32;
            else
                state[i / 2] = value;
        }
    }

   private:
    static constexpr int64_t kPool = 4;
    uint32_t pool_[kPool];

    static uint32_t mixed(uint32_t one, uint32_t two) {
        const uint32_t value = 0xca01f9ddu * one - 0x4973f715u * two;
        return value ^ (value >> 16);
    }
};

// Chris Doty-Humphrey's small fast chaotic generator, of 64 bits, begun as NumPy begins it.
class Sfc64 {
   public:
    explicit Sfc64(const SeedSequence& seeds) {
        seeds.fill(state_, 3);
        for (int i = 0; i < 12; ++i) next();
    }

    uint64_t next() {
        const uint64_t answer = state_[0] + state_[1] + counter_++;
        state_[0] = state_[1] ^ (state_[1] >> 11);
        state_[1] = state_[2] + (state_[2] << 3);
        state_[2] = ((state_[2] << 24) | (state_[2] >> 40)) + answer;
        return answer;
    }

   private:
    uint64_t state_[3];
    uint64_t counter_ = 1;
};

// What is no number stays none. (std::max takes references, which keep loops from using registers.)
inline float relu(float value) { return value < 0.0f ? 0.0f : value; }

// Below this a second thread costs more than it does.
constexpr int64_t kWorthThreads = 16384;

}  // namespace

extern "C" {

// values = relu(values), then times `scale` where the byte drawn for it is at least `threshold`,
// and times 0 elsewhere. Threshold 0 keeps all, and nothing is drawn.
void relu_dropout_float32_forward(float* values, int64_t count, const uint32_t* entropy,
                                  int64_t words, int32_t threshold, float scale, int32_t threads) {
    static thread_local std::vector<uint64_t> drawn;
    const bool is_alone = count < kWorthThreads;
    if (threshold == 0) {
#pragma omp parallel for simd num_threads(threads) if (!is_alone)
        for (int64_t i = 0; i < count; ++i) values[i] = relu(values[i]);
        return;
    }
    drawn.resize(std::max<size_t>(drawn.size(), (count + 7) / 8));
    Sfc64 chance{SeedSequence(entropy, words)};
    for (int64_t i = 0; i < (count + 7) / 8; ++i) drawn[i] = chance.next();
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(drawn.data());  // little-endian, as NumPy
#pragma omp parallel for simd num_threads(threads) if (!is_alone)
    for (int64_t i = 0; i < count; ++i)
        values[i] = relu(values[i]) * (bytes[i] >= threshold ? scale : 0.0f);
}

// The gradient of what came in, in its place. `values` is what came out: it is above 0 where relu
// let something through and dropout kept it.
void relu_dropout_float32_backward(float* gradient, const float* values, int64_t count, float scale,
                                   int32_t threads) {
#pragma omp parallel for simd num_threads(threads) if (count >= kWorthThreads)
    for (int64_t i = 0; i < count; ++i) gradient[i] = values[i] > 0.0f ? gradient[i] * scale : 0.0f;
}

}  // extern "C"
