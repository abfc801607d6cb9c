// A small data set for streams, and short streams of it.
#pragma once

#include "continual/continual.h"
#include "retort/core/random.h"
#include "retort/data/raw.h"

namespace retort::continual {

/// Ten classes of 5 training and 4 test images, 1x6x6: a pattern for each class, and noise.
inline const data::Dataset& cells() {
  static const data::Dataset data = [] {
    data::Dataset set;
    set.name = "cells";
    set.channels = 1;
    set.height = set.width = 6;
    auto split = [](int64_t per_class, uint64_t seed) {
      const int64_t count = 10 * per_class;
      at::Tensor images = at::empty({count, 1, 6, 6}, at::kByte);
      const at::Tensor labels = at::arange(count, at::kLong).remainder(10);
      RandomStream draw(seed, "test.cells");
      uint8_t* pixel = images.data_ptr<uint8_t>();
      for (int64_t i = 0; i < count; ++i)
        for (uint64_t p = 0; p < 36; ++p) {
          const bool bright =
              RandomStream(3, "test.pattern", static_cast<uint64_t>(i % 10), p).uniform() < 0.5;
          *pixel++ = static_cast<uint8_t>(draw.uniform_int(100) + (bright ? 150 : 0));
        }
      return data::make_split(images, labels, 10);
    };
    set.train = split(5, 1);
    set.test = split(4, 2);
    for (int c = 0; c < 10; ++c) set.class_names.push_back("c" + std::to_string(c));
    set.preprocessing = data::Preprocessing::mean_std({0.5}, {0.3});
    set.hash = "cells";
    return set;
  }();
  return data;
}

inline ContinualOptions options_of(const std::string& stream, int64_t tasks) {
  ContinualOptions options;
  options.take(find_stream(stream));
  options.tasks = tasks;
  options.orders = 1;
  options.students = 1;
  options.samples_per_task = 0;
  options.memory = 20;
  return options;
}

}  // namespace retort::continual
