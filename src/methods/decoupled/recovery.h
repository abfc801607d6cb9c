// Recovering images from a teacher (Yin, Xing and Shen, NeurIPS 2023, section 3.2): its loss of the
// class that an image is to show, plus the distance of a group's statistics from those that its
// BatchNorm layers keep, seen through random crops, flips and rolls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "losses/statistics.h"
#include "methods/decoupled/patches.h"
#include "retort/augment/crop.h"
#include "retort/core/share.h"
#include "retort/methods/method.h"
#include "teachers/loaded_teacher.h"

namespace retort::methods {

/// The options of every method that recovers images.
struct RecoveryOptions {
  std::string teacher;
  double statistics_weight = 0.01;
  double first_layer_factor = 10;
  std::vector<std::string> layer_weights;  ///< empty: 1 for each
  std::string statistics_unit = "raw";     ///< raw | scale_free
  std::string crop_schedule = "fixed";     ///< none | fixed | step | linear | cosine
  double min_crop_area = 0.08;
  double crop_milestone = 1;
  bool crop_flip = true;
  int64_t roll = 32;
  bool roll_both_ways = false;
  std::string crop_share = "group";  ///< group | image
  std::string grouping = "cross_class";
  int64_t group_size = 100;
  int64_t groups_at_once = 1;
  std::string start_from = "initialisation";  ///< initialisation | patches
  PatchOptions patches = {.choice = "medium"};
  std::string shard = "0/1";

  void declare(OptionSet& set);
};

/// The smallest area of a crop at an iteration: CDA's curricula fall from 1 to `low` until
/// milestone * iterations.
double min_crop_area_at(const std::string& schedule, double low, double milestone,
                        int64_t iteration, int64_t iterations);

/// The objective. Groups do not know of each other: neither their draws nor their statistics.
class Recovery : public Objective {
 public:
  /// ConfigError where the teacher has no BatchNorm layers or the weights do not fit them.
  Recovery(const Context& context, const RecoveryOptions& options);

  void begin(int64_t iteration, const SyntheticSet&) override { iteration_ = iteration; }
  Cotangents evaluate(const SyntheticSet& set, int64_t step) override;
  at::Tensor starting_images(const at::Tensor& images, bool given) override;
  std::optional<std::vector<int64_t>> rows() const override;
  std::string identity() const override { return "teacher " + teacher_.hash; }
  bool open_ended() const override {
    return options_.crop_schedule == "none" || options_.crop_schedule == "fixed";
  }

  /// What is seen of each image of a group at this iteration.
  std::vector<augment::Crop> crops_of(size_t group) const;

 private:
  /// The groups of one pass.
  struct Pass {
    size_t begin = 0, end = 0;
    std::vector<int64_t> rows;   ///< of the set, group after group
    std::vector<int64_t> edges;  ///< where the groups begin in `rows`, and the end
  };
  std::vector<Pass> make_passes() const;
  /// The loss of a pass; writes its cotangents.
  double descend(const SyntheticSet& set, const Pass& pass, const at::Tensor& cotangents) const;
  /// Cotangents of the logits of a pass; adds its loss.
  at::Tensor cotangents_of_logits(const at::Tensor& logits, const at::Tensor& labels,
                                  const Pass& pass, double& loss) const;
  /// Cotangents of the moments [G, 2, C] of what enters a layer; adds its loss.
  at::Tensor cotangents_of_moments(const at::Tensor& found, const losses::Moments& kept,
                                   double weight, double& loss) const;

  const Context context_;
  const RecoveryOptions options_;
  const teachers::LoadedTeacher teacher_;
  std::vector<double> weights_;  // of the layers
  std::vector<std::vector<int64_t>> groups_;
  std::vector<Pass> passes_;
  Share share_;
  int64_t iteration_ = 0;
};

}  // namespace retort::methods
