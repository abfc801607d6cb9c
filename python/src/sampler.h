// Real training images, drawn by named streams.
#pragma once

#include <cstdint>
#include <vector>

#include "retort/data/class_sampler.h"
#include "retort/data/dataset.h"

namespace retort::python {

/// The training part of a data set as network input. It shares the images with the data set, and
/// may outlive it.
class Sampler {
 public:
  Sampler(const data::Dataset& data, at::Device device)
      : split_(data.train), sampler_(split_, data.preprocessing, device) {}
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  int64_t size() const { return sampler_.size(); }
  int64_t classes() const { return sampler_.classes(); }
  std::vector<int64_t> rows(const RandomStream& stream, int64_t label, int64_t count) const {
    return sampler_.rows(stream, label, count);
  }
  at::Tensor images(const std::vector<int64_t>& rows) const { return sampler_.images(rows); }
  at::Tensor labels(const std::vector<int64_t>& rows) const { return sampler_.batch(rows).targets; }

 private:
  const data::Split split_;
  const data::ClassSampler sampler_;
};

}  // namespace retort::python
