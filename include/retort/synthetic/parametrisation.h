// A parametrisation decodes parameters to images and pulls cotangents of images back to them. It
// knows nothing of objectives.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/io/tensor_file.h"

namespace retort::synthetic {

/// The images that a parametrisation stands for: `counts[c]` images of class c, class after class.
struct SetLayout {
  std::vector<int64_t> counts;
  int64_t channels = 3, height = 32, width = 32;
  int64_t size() const;  ///< M, all images
  int64_t classes() const { return std::ssize(counts); }
  std::vector<int64_t> offsets() const;  ///< classes + 1 numbers from 0 to M
  at::Tensor labels() const;             ///< int64 [M]
};

enum class Direction { kDescent, kAscent };

/// A tensor that the outer loop moves: parameters of the images, or what an objective learns beside
/// them (label logits, the student's rate). What is not given is as the run's options say of the
/// images.
struct ParameterGroup {
  std::string name;
  at::Tensor value;                           ///< its owner's; updated in place by the optimizer
  double rate_factor = 1.0;                   ///< times the learning rate
  std::optional<double> learning_rate = {};   ///< that of an iteration, before the schedule
  std::optional<double> momentum = {};        ///< for sgd; beta1 of the others
  std::string optimizer = {};                 ///< "adam", with the defaults of its kind
  std::string schedule = {};                  ///< "cosine"; but "constant", a run cannot grow
  Direction direction = Direction::kDescent;  ///< a sampler that seeks hard images ascends
  /// What to lower where it runs away, as messages name it.
  std::string rate_option = "--image-learning-rate";
};

/// What a parametrisation is made for.
struct ParametrisationInput {
  SetLayout budget;  ///< the images of each class whose bytes may be stored
  at::Device device = at::kCPU;
  uint64_t seed = 0;
  /// What pixels 0 and 1 are in network input, [1, C, 1, 1]; undefined where whitening mixes them.
  at::Tensor lowest = at::Tensor(), highest = at::Tensor();
  bool clamp = false;                ///< pixels are kept between the two
  at::ScalarType type = at::kFloat;  ///< what parameters are; double in tests of derivatives
};

class Parametrisation {
 public:
  virtual ~Parametrisation() = default;
  /// The images that it decodes to, which may be more than the budget's.
  virtual const SetLayout& layout() const = 0;
  /// Starts from images [M, C, H, W] of the geometry in network-input space (real, or noise).
  virtual void initialise(const at::Tensor& images) = 0;
  /// False where initialise() draws its own start, whatever the images are.
  virtual bool starts_from_images() const { return true; }
  /// All images [M, C, H, W], without a graph.
  virtual at::Tensor decode() const = 0;
  /// Cotangents [M, C, H, W] of decode() to gradients, one per parameter group, in order.
  virtual std::vector<at::Tensor> pullback(const at::Tensor& cotangents) const = 0;
  virtual std::vector<ParameterGroup> parameters() = 0;
  /// Puts the parameters back where they are allowed to be; called after every step.
  virtual void project() {}
  /// The compact tensors, by name: all that decoding needs. They are the tensors themselves, of
  /// shapes that the options fix; parameters have the names of their groups. A checkpoint and the
  /// bundle hold them.
  virtual TensorMap compact() const = 0;
};

/// A kind of parametrisation: its options, and an instance for a budget. Made anew for every run.
class ParametrisationKind {
 public:
  virtual ~ParametrisationKind() = default;
  virtual void declare(OptionSet&) {}
  /// ConfigError where the budget is too small, or the options do not fit the images.
  virtual std::unique_ptr<Parametrisation> make(const ParametrisationInput& input) const = 0;
};

/// A row of the table of parametrisations.
struct ParametrisationEntry {
  std::string name;
  std::string summary;
  std::unique_ptr<ParametrisationKind> (*make)();
};
const std::vector<ParametrisationEntry>& parametrisation_table();

/// The number of images for each class from "10", "proportional:500" or the path of a file of
/// CLASS=COUNT lines, CLASS being a name, an id (wnid) or an index. `sizes[c]` are the real images
/// of class c; every class gets at least one, and may get more than it has real ones. ConfigError
/// where a class is unknown or missing.
std::vector<int64_t> parse_images_per_class(const std::string& text,
                                            const std::vector<std::string>& class_names,
                                            const std::vector<int64_t>& sizes,
                                            const std::vector<std::string>& class_ids = {});
/// "class 'rare' has 2 images, 5 are asked for", of every class that is asked for more than it has.
std::vector<std::string> classes_too_small(const std::vector<int64_t>& counts,
                                           const std::vector<std::string>& class_names,
                                           const std::vector<int64_t>& sizes);

}  // namespace retort::synthetic
