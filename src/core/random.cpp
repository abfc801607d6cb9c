// Philox4x32-10 and what is drawn from it. No torch here.
#include "retort/core/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "core/file.h"
#include "core/sizes.h"

namespace retort {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

uint64_t mix(uint64_t x) {  // SplitMix64's finaliser
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t p1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

// The key names (seed, purpose); the upper half of the counter names the indices; its lower half
// counts blocks.
RandomStream::RandomStream(uint64_t seed, std::string_view purpose, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d) {
  const uint64_t key = mix(mix(seed) ^ hash_bytes(purpose.data(), purpose.size()));
  const uint64_t place = mix(mix(mix(mix(mix(key) ^ a) ^ b) ^ c) ^ d);
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  counter_ = {0, 0, static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32)};
}

uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[to_size(used_++)];
}

uint64_t RandomStream::next_u64() {
  const uint64_t low = next_u32();
  return low | uint64_t{next_u32()} << 32;
}

double RandomStream::uniform() {
  return static_cast<double>(next_u64() >> 11) * 0x1p-53;
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

int64_t RandomStream::uniform_int(int64_t n) {
  const uint64_t range = to_size(n);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % range;
  uint64_t draw = next_u64();
  while (draw >= limit) draw = next_u64();
  return to_int64(draw % range);
}

std::vector<int64_t> RandomStream::permutation(int64_t n) {
  return sample(n, n);
}

// The first `count` places of a Fisher-Yates shuffle.
std::vector<int64_t> RandomStream::sample(int64_t n, int64_t count) {
  if (count > n) count = n;
  std::vector<int64_t> order(to_size(n));
  std::iota(order.begin(), order.end(), 0);
  int64_t* at = order.data();
  for (int64_t i = 0; i < count; ++i) std::swap(at[i], at[i + uniform_int(n - i)]);
  order.resize(to_size(count));
  return order;
}

void RandomStream::fill_uniform(float* values, int64_t count, float low, float high) {
  const float scale = (high - low) * 0x1p-24f;
  for (int64_t i = 0; i < count; ++i) values[i] = low + scale * static_cast<float>(next_u32() >> 8);
}

void RandomStream::fill_normal(float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(normal());
}

}  // namespace retort
