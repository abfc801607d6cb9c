// A toy problem for tests of methods: few small images that differ by class.
#pragma once

#include "retort/core/random.h"
#include "retort/data/dataset.h"

namespace retort::tests {

/// `each` training and two test images of every class, 3 x side x side; class c is brighter in
/// channel c mod 3.
inline data::Dataset toy_dataset(int64_t classes = 3, int64_t each = 12, int64_t side = 8) {
  data::RawDataset raw;
  raw.name = "toy";
  raw.reader = "toy";
  raw.channels = 3;
  raw.height = raw.width = side;
  auto fill = [&](data::RawImages& part, int64_t count, const char* purpose) {
    for (int64_t c = 0; c < classes; ++c)
      for (int64_t i = 0; i < count; ++i) {
        RandomStream draw(0, purpose, static_cast<uint64_t>(c), static_cast<uint64_t>(i));
        for (int64_t k = 0; k < 3; ++k)
          for (int64_t p = 0; p < side * side; ++p)
            part.pixels.push_back(
                static_cast<uint8_t>(draw.uniform_int(150) + (k == c % 3 ? 100 : 0)));
        part.labels.push_back(c);
      }
  };
  for (int64_t c = 0; c < classes; ++c) raw.class_names.push_back("class" + std::to_string(c));
  fill(raw.train, each, "toy.train");
  fill(raw.test, 2, "toy.test");
  return data::prepare_dataset(raw, {});
}

}  // namespace retort::tests
