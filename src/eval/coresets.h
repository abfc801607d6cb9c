// Real images in place of a set: what it has to beat.
#pragma once

#include <string>
#include <vector>

#include "retort/core/progress.h"
#include "retort/data/dataset.h"
#include "retort/synthetic/bundle.h"

namespace retort::eval {

/// The names of the methods that choose real images: random, herding, kcenter, forgetting.
const std::vector<std::string>& coreset_methods();
/// The one that every set is measured against, and that chooses anew for every student.
inline const std::string& random_coreset() {
  return coreset_methods().front();
}

struct CoresetChoice {
  std::string method;
  int64_t selection_epochs = 20;  ///< of the network that all but random look at
  uint64_t seed = 0;
};

/// As many training images of every class as take the bytes of `bundle`, chosen by a method, for
/// the same network, protocol, augmentation and preprocessing; with hard labels.
synthetic::Bundle choose_coreset(const synthetic::Bundle& bundle, const data::Dataset& data,
                                 const CoresetChoice& choice, at::Device device,
                                 const ProgressStyle& progress = {});

}  // namespace retort::eval
