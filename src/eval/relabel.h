// A teacher's labels for the post-training of a set, before it.
#pragma once

#include <cstdint>
#include <string>

#include "retort/core/options.h"
#include "retort/eval/evaluate.h"
#include "teachers/soft_labels.h"

namespace retort::eval {

struct RelabelOptions {
  std::string protocol;           ///< of post-training; empty: the bundle's own
  int64_t evaluation_epochs = 0;  ///< 0: the protocol's
  std::string precision = "float16";
  int64_t top_k = 0;
  double keep = 1;
  int64_t seed = 0;
  void declare(OptionSet& options);
};

/// What a file of labels of this set by this teacher is to hold; ConfigError where the protocol is
/// no post-training, or the settings do not fit each other.
teachers::LabelPlan plan_labels(const synthetic::Bundle& bundle, const RelabelOptions& options,
                                const teachers::LoadedTeacher& teacher);

}  // namespace retort::eval
