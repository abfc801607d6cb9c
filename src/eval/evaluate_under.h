// An evaluation under a protocol that need not be one of the table.
#pragma once

#include <string>

#include "eval/subjects.h"

namespace retort::eval {

/// What is judged, and how.
struct Judgement {
  const synthetic::Bundle& bundle;
  const data::Dataset& data;
  const Protocol& protocol;
  const EvalOptions& options;
  Redraw redraw = {};  ///< empty: as the options say
  at::Device device = at::kCPU;
  ProgressStyle style = {};
  const StopFlag* stop = nullptr;
  const ProcessGroup& group = ProcessGroup::alone();
};

/// As evaluate(), but for the protocol.
Evaluation evaluate_under(const Judgement& judgement);

/// Seconds that an evaluation will take, from a few steps of every network on every training set;
/// learners are not counted.
double expected_seconds(const Judgement& judgement);

/// The protocol that the options name, else the set's own.
const Protocol& protocol_of(const synthetic::Bundle& bundle, const EvalOptions& options);

/// The set's own network as the protocol wants it.
std::string student_of(const synthetic::Bundle& bundle, const Protocol& protocol);

}  // namespace retort::eval
