// What the golden tests of whole steps share: a method on toy data, and its draws as inputs.
#pragma once

#include "augment/siamese.h"
#include "methods/hashed_experts.h"
#include "methods/toy.h"
#include "retort/data/class_sampler.h"
#include "retort/methods/method.h"
#include "support/device.h"

namespace retort::golden {

using namespace tests;

constexpr uint64_t kSeed = 5;
constexpr const char* kAll = "color_crop_cutout_flip_scale_rotate";
constexpr double kFloat = 2e-5;  // float32 after some sums, of the largest value

inline at::Tensor longs(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

/// A method on toy data, at hashed images: `counts` of the classes.
struct Case {
  data::Dataset data = toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::SetLayout layout;
  std::string augmentation;
  std::unique_ptr<methods::Method> method;
  OptionSet set;
  std::unique_ptr<methods::Objective> objective;
  methods::SyntheticSet view;
  TempFolder folder;

  Case(std::unique_ptr<methods::Method> made, std::map<std::string, std::string> given,
       const std::string& name, std::string augmented = "none",
       std::vector<int64_t> counts = {2, 1, 3})
      : network(nets::make_network(name, {3, 8, 8, 3})),
        layout{std::move(counts), 3, 8, 8},
        augmentation(std::move(augmented)),
        method(std::move(made)) {
    method->declare(set);
    if (set.find("experts") && !given.count("experts")) {
      write_hashed_experts(folder / "experts", data, *network, 2, 6);
      given["experts"] = (folder / "experts").string();
    }
    Problems problems;
    for (const auto& [key, text] : given) set.set(key, text, "test", problems);
    problems.raise("test");
    objective = method->objective(context());
    view = {hashed({layout.size(), 3, 8, 8}, 7).mul(2).to(device(), at::kFloat), layout.labels(),
            layout.offsets()};
  }
  methods::Context context() const {
    return {data, *network, layout, augmentation, kSeed, device()};
  }
  data::ClassSampler real() const { return {data.train, data.preprocessing, at::Device(at::kCPU)}; }
  at::Tensor input_of(const std::vector<int64_t>& rows) const {
    return data.preprocessing.apply(data.train.images.index_select(0, longs(rows)),
                                    at::Device(at::kCPU));
  }
  /// `count` training rows of class c, drawn from `draw`.
  void draw_class(size_t c, int64_t count, RandomStream draw, std::vector<int64_t>& rows) const {
    const auto& members = data.train.rows_by_class[c];
    for (const int64_t i : draw.sample(static_cast<int64_t>(members.size()), count))
      rows.push_back(members[i]);
  }
  at::Tensor row_of_class(RandomStream draw) const {
    return augment::draw_shared(augment::parse_strategy(augmentation), 8, 8, draw);
  }
  void give_real(Golden& golden, const std::vector<int64_t>& rows) const {
    golden.input("real", input_of(rows));
    golden.input("real_labels", data.train.labels.index_select(0, longs(rows)));
  }
  void give_set(Golden& golden) const {
    golden.input("images", view.images);
    golden.input("labels", view.labels);
    golden.input("offsets", longs(view.offsets));
  }
};

}  // namespace retort::golden
