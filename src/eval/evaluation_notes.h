// What a reader of an evaluation's figures has to know beside them, and what to do where a student
// runs away.
#pragma once

#include <string>
#include <vector>

#include "retort/eval/evaluate.h"

namespace retort::eval {

/// What the notes of an evaluation are about.
struct Noted {
  const synthetic::Bundle& bundle;
  const data::Dataset& data;
  const data::Split& part;
  const EvalOptions& options;
  const Protocol& protocol;
  bool soft_labels = false;  ///< students of the set are trained on some
  bool redrawn = false;
};

std::vector<std::string> evaluation_notes(const Noted& noted);

/// What to do where the training of a subject's students runs away.
std::string divergence_advice(const synthetic::Bundle& bundle, const std::string& subject,
                              const std::string& network);

/// Published figures of gradient and trajectory matching are of InstanceNorm where the set was made
/// with BatchNorm: a set so small does not measure its statistics. DM keeps BatchNorm.
bool evaluated_without_batchnorm(const synthetic::Bundle& bundle);

}  // namespace retort::eval
