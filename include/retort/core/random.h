// Counter-based random streams: Philox4x32-10 (Salmon et al., SC 2011). A stream is a pure function
// of (seed, purpose, up to four indices); nothing is global and nothing comes from the clock.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace retort {

/// One Philox4x32-10 block of counter under key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A named stream of random numbers. Copies continue independently from the same place.
class RandomStream {
 public:
  /// Streams with different arguments are independent. `purpose` names the use: "dm.real".
  RandomStream(uint64_t seed, std::string_view purpose, uint64_t a = 0, uint64_t b = 0,
               uint64_t c = 0, uint64_t d = 0);

  uint32_t next_u32();
  uint64_t next_u64();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box-Muller).
  double normal();
  /// Uniform integer in [0, n), unbiased; n >= 1.
  int64_t uniform_int(int64_t n);
  /// A random order of 0..n-1.
  std::vector<int64_t> permutation(int64_t n);
  /// `count` different integers of [0, n) in random order; all n of them where count >= n.
  std::vector<int64_t> sample(int64_t n, int64_t count);
  /// Fills with uniforms of [low, high), 24 bits each, in order.
  void fill_uniform(float* values, int64_t count, float low, float high);
  /// Fills with standard normals, in order.
  void fill_normal(float* values, int64_t count);

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace retort
