// What a protocol makes of a set before anything is trained.
#pragma once

#include <memory>
#include <vector>

#include "eval/evaluate_under.h"

namespace retort::eval {

using Networks = std::vector<std::unique_ptr<nets::Network>>;

/// Those of the options, else the set's own as the protocol wants it.
Networks make_networks(const synthetic::Bundle& bundle, const data::Dataset& data,
                       const Protocol& protocol, const EvalOptions& options);

/// With the augmentation and the epochs of this set and these options.
train::TrainOptions training_of(const Protocol& protocol, const synthetic::Bundle& bundle,
                                const data::Dataset& data, const EvalOptions& options);

/// ConfigError where the set's labels are targets of a regression and the protocol is none: a
/// cross-entropy makes nothing of them.
void require_labels_of(const Protocol& protocol, const synthetic::Bundle& bundle);

}  // namespace retort::eval
