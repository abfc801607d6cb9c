// What NCFM, TGDD and influence matching share: class after class, the features of a real batch and
// of the synthetic images by networks in training are compared, and a network trained for longer
// says by its cross-entropy what the synthetic images should show. Memory does not grow with the
// classes.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "augment/siamese.h"
#include "methods/matching/network_pool.h"
#include "retort/data/class_sampler.h"
#include "retort/methods/method.h"

namespace retort::methods {

struct ClassMatchingOptions : PoolOptions {
  int64_t real_batch = 256;
  int64_t synthetic_batch = 0;  ///< of each class; 0: all
  double cross_entropy_weight = 1;

  void declare(OptionSet& set);
};

/// The networks of an iteration.
struct Networks {
  std::vector<at::Tensor> compared;  ///< whose features are compared, each [P]
  at::Tensor trained;                ///< whose cross-entropy is taken, [P]
};

/// What a network says of some images, by the names of its taps.
using Taps = std::map<std::string, at::Tensor>;

/// What the networks say of the images of a class, in their order.
struct ClassView {
  int64_t label = 0;
  std::vector<Taps> real;
  std::vector<Taps> synthetic;
};

/// How far they are apart.
struct FeatureGap {
  at::Tensor value;          ///< scalar
  std::vector<Taps> slopes;  ///< by what they say of the synthetic images
};

class ClassMatching : public Objective {
 public:
  /// ConfigError where no experts are given, naming the `method`.
  ClassMatching(const Context& context, const ClassMatchingOptions& options,
                const std::string& method);

  void begin(int64_t iteration, const SyntheticSet& set) override;
  Cotangents evaluate(const SyntheticSet& set, int64_t step) override;
  /// Classes do not know of each other, with BatchNorm neither: processes share them.
  std::optional<std::vector<int64_t>> rows() const override;
  std::string identity() const override { return pool_.identity(); }

 protected:
  virtual Networks draw_networks(uint64_t iteration) const = 0;
  /// What is compared of a network.
  virtual std::vector<std::string> taps() const { return {"features"}; }
  /// Without a graph; of the type of the images.
  virtual FeatureGap compare(const ClassView& seen) = 0;
  /// Whether the cross-entropy sees the images under the same augmentation as the comparison.
  virtual bool one_augmentation() const = 0;

  const Context& context() const { return context_; }
  const NetworkPool& pool() const { return pool_; }
  uint64_t iteration() const { return iteration_; }

 private:
  RandomStream stream(const char* purpose, int64_t c) const;
  at::Tensor augmentation(const char* purpose, int64_t c) const;
  std::vector<Taps> seen_in_real(int64_t c, const at::Tensor& rows, at::ScalarType type) const;
  std::vector<int64_t> chosen(int64_t c, int64_t count) const;
  /// The loss of the images of class c that an iteration looks at; writes their cotangents.
  at::Tensor match_chosen(const SyntheticSet& set, int64_t c, const at::Tensor& cotangents);
  /// The loss of class c; adds the cotangents of its images.
  at::Tensor match(const at::Tensor& images, int64_t c, const at::Tensor& cotangents);
  at::Tensor add_comparison(const at::Tensor& images, int64_t c, const at::Tensor& rows,
                            const at::Tensor& cotangents);
  at::Tensor add_cross_entropy(const at::Tensor& images, int64_t c, const at::Tensor& rows,
                               const at::Tensor& cotangents) const;

  const Context context_;
  const ClassMatchingOptions options_;
  const NetworkPool pool_;
  const data::ClassSampler real_;
  const augment::Strategy strategy_;
  const std::vector<int64_t> classes_;  // of this process
  uint64_t iteration_ = 0;
  Networks networks_;
};

}  // namespace retort::methods
