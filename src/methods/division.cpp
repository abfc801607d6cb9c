#include "methods/division.h"

#include <algorithm>

namespace retort::methods {
namespace {

constexpr const char* kLosses =
    "losses, 8 bytes each, in every iteration; images and their moments at checkpoints";

}  // namespace

const std::vector<Division>& divisions() {
  static const std::vector<Division> kTable{
      {{"dm"},
       "classes",
       kLosses,
       "drawing the network; with BatchNorm, which joins the classes, nothing is divided"},
      {{"tgdd", "infmatch"}, "classes", kLosses, "drawing networks and directions"},
      {{"ncfm"},
       "classes",
       "losses and gradients of all images, in every iteration; for the sampler each class's "
       "gradient of the frequency arguments, of which every process adds up a part",
       "drawing networks and frequency arguments, the sampler's step"},
      {{"cafe"},
       "classes, of a matching step and of the accuracies that are watched",
       "class means of the features, for each class the derivative by all of them, losses and "
       "gradients of all images, in every step; accuracies, in every inner epoch",
       "the training of the network between steps"},
      {{"dc", "dsa"},
       "classes of a matching step",
       "losses and gradients of all images, in every step",
       "the training of the network between steps, BatchNorm's calibration"},
      {{"mtt", "ftd", "tesla", "datm"},
       "trajectories, where `--trajectories-per-step` is above 1, the published number",
       "a gradient of the images for each trajectory, in every iteration",
       "the N steps of a trajectory, which follow one another"},
      {{"sre2l", "cda", "scdd"},
       "passes of `--groups-at-once` groups",
       kLosses,
       "opening the teacher"},
      {{"cim"},
       "classes",
       "losses and gradients of all images, in every iteration; the anchors, once",
       "opening the teacher"},
      {{"rded"}, "classes", "the images, once", "opening the teacher"},
      {{"frepo"},
       "passes of 256 real images",
       "their features, in every iteration",
       "the regression, which joins all images, the set's features, the training of the pool"},
      {{"herding", "kcenter", "forgetting"},
       "classes",
       "the rows that are taken, once",
       "the training of the network that is looked at"},
      {{"random"}, "classes", "the rows that are taken, once", "nothing, and it takes no time"},
      {{"dd", "bptt"},
       "",
       "",
       "the steps of a training follow one another, and each may need all images"},
      {{"kip"}, "", "", "one regression joins all images, in sums that have no order of items"},
  };
  return kTable;
}

Division division_of(const std::string& method) {
  for (const Division& row : divisions())
    if (std::ranges::find(row.methods, method) != row.methods.end()) return row;
  return {};
}

}  // namespace retort::methods
