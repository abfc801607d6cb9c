// What NCFM and TGDD share: class after class, the features of a real batch and of the synthetic
// images by a network in training are compared, and a network trained for longer says by its
// cross-entropy what the synthetic images should show. Memory does not grow with the classes.
#pragma once

#include <torch/types.h>

#include <cstdint>
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

/// The two networks of an iteration.
struct NetworkPair {
  at::Tensor compared;  ///< whose features are compared, [P]
  at::Tensor trained;   ///< whose cross-entropy is taken, [P]
};

/// How far the features of a class are apart.
struct FeatureGap {
  at::Tensor value;   ///< scalar
  at::Tensor slopes;  ///< by the synthetic features, [N, F]
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
  virtual NetworkPair draw_networks(uint64_t iteration) const = 0;
  /// Of a class's features, without a graph; of the type of the images.
  virtual FeatureGap compare(const at::Tensor& real, const at::Tensor& synthetic) = 0;
  /// Whether the cross-entropy sees the images under the same augmentation as the comparison.
  virtual bool one_augmentation() const = 0;

  const Context& context() const { return context_; }
  const NetworkPool& pool() const { return pool_; }
  uint64_t iteration() const { return iteration_; }

 private:
  RandomStream stream(const char* purpose, int64_t c) const;
  at::Tensor augmentation(const char* purpose, int64_t c) const;
  at::Tensor real_features(int64_t c, const at::Tensor& rows, at::ScalarType type) const;
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
  NetworkPair networks_;
};

}  // namespace retort::methods
