// A data set so small that opening it takes milliseconds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "data/layout_files.h"
#include "retort/core/random.h"

namespace retort::tests {

/// Ten training and two test images, 28x28, of each of ten classes as idx files.
inline void write_small_data(const std::filesystem::path& folder, uint64_t seed = 0) {
  RandomStream draw(seed, "kill");
  for (const auto& [part, count] : {std::pair<std::string, uint32_t>{"train", 100}, {"t10k", 20}}) {
    std::string images = big_endian(0x803) + big_endian(count) + big_endian(28) + big_endian(28);
    std::string labels = big_endian(0x801) + big_endian(count);
    for (uint32_t i = 0; i < count; ++i) {
      labels += static_cast<char>(i % 10);
      for (int p = 0; p < 28 * 28; ++p) images += static_cast<char>(draw.uniform_int(256));
    }
    write_text(folder / (part + "-images-idx3-ubyte"), images);
    write_text(folder / (part + "-labels-idx1-ubyte"), labels);
  }
}

}  // namespace retort::tests
