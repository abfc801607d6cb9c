// A toy data set and experts of it that train in milliseconds.
#pragma once

#include <filesystem>
#include <fstream>

#include "retort/core/random.h"
#include "retort/trajectories/experts.h"
#include "retort/trajectories/trajectories.h"
#include "support/support.h"

namespace retort::tests {

inline data::Dataset small_data(uint64_t seed = 1) {
  data::RawDataset raw;
  raw.name = "toy";
  raw.channels = 1;
  raw.height = raw.width = 8;
  raw.class_names = {"a", "b", "c"};
  RandomStream draw(seed, "test.data");
  for (auto* part : {&raw.train, &raw.test})
    for (int64_t i = 0; i < 24; ++i) {
      part->labels.push_back(i % 3);
      for (int p = 0; p < 64; ++p)
        part->pixels.push_back(static_cast<uint8_t>(draw.uniform_int(256)));
    }
  data::DataOptions options;
  options.normalisation = "computed";
  return data::prepare_dataset(std::move(raw), options);
}

/// Data, network and options that an input refers to.
struct Small {
  data::Dataset data = small_data();
  std::unique_ptr<nets::Network> network;
  trajectories::ExpertOptions options;
  OptionSet set;
  StopFlag stop;

  explicit Small(const std::string& name = "convnet-w4-d1") {
    network = nets::make_network(name, {data.channels, data.height, data.width, data.classes()});
    options.network = name;
    options.count = 3;
    options.epochs = 4;
    options.batch_size = 10;
    options.declare(set);
  }

  trajectories::ExpertInput input() const {
    return {data, *network, options, at::Device(at::kCPU), {}, &stop};
  }
  trajectories::ExpertOutcome train(const std::filesystem::path& folder) const {
    trajectories::open_experts(folder, set);
    return trajectories::train_experts(input(), folder);
  }
};

}  // namespace retort::tests
