// One set under the many trainings that its scores are made of.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/evaluate_under.h"
#include "eval/score.h"

namespace retort::eval {

/// What is to be trained on, with which labels.
struct Wanted {
  std::string subject, labels;
  bool augmented = true;
};

/// One set under the scores' many trainings.
class Scorer {
 public:
  Scorer(const ScoreRun& run, const synthetic::Bundle& bundle);

  const std::string& network() const { return network_; }
  const Protocol& protocol() const { return protocol_; }
  /// Where every training of the set has labels that are not its classes.
  bool soft() const { return stored_soft() || taught(); }
  std::string labels() const;
  void label_by(const train::ModelState& whole) { whole_ = &whole; }
  bool needs_labels() const { return stored_soft(); }
  /// Nothing after a stop.
  std::optional<ScoreFigure> figure(const Wanted& wanted);

 private:
  bool stored_soft() const {
    return !protocol_.post && bundle_.soft_labels.defined() && bundle_.soft_label_kind != "targets";
  }
  bool taught() const { return protocol_.post && labels() != "hard"; }
  EvalOptions options() const;
  EvalOptions options(const Wanted& wanted) const;
  Protocol protocol(const Wanted& wanted) const;
  void require_teacher() const;
  int64_t draws(const Wanted& wanted) const {
    return wanted.subject == random_coreset() ? run_.options.runs : 1;
  }
  synthetic::Bundle set(const Wanted& wanted, int64_t draw);
  std::string key(const Wanted& wanted, const std::string& part, double rate) const;
  std::vector<double> trained(const Wanted& wanted, const std::string& part, double rate);
  void search(const Wanted& wanted, ScoreFigure& figure);
  bool stopped() const { return run_.stop && run_.stop->requested(); }

  const ScoreRun& run_;
  synthetic::Bundle bundle_;
  const Protocol protocol_;
  std::string network_;
  std::vector<double> rates_;
  const train::ModelState* whole_ = nullptr;
  std::map<std::pair<std::string, int64_t>, synthetic::Bundle> coresets_;
};

}  // namespace retort::eval
