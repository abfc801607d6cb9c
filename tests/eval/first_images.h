// A small set to evaluate: the first training image of every class.
#pragma once

#include "retort/data/dataset.h"
#include "retort/synthetic/bundle.h"

namespace retort::tests {

inline synthetic::Bundle first_images(const data::Dataset& data) {
  std::vector<int64_t> rows;
  for (const auto& members : data.train.rows_by_class) rows.push_back(members.front());
  synthetic::Bundle bundle;
  bundle.images =
      data.preprocessing.apply(data.train.images.index_select(0, at::tensor(rows)), at::kCPU);
  bundle.labels = at::arange(data.classes(), at::kLong);
  bundle.class_names = data.class_names;
  bundle.preprocessing = data.preprocessing;
  bundle.data_name = data.name;
  bundle.protocol = "demo";
  return bundle;
}

}  // namespace retort::tests
