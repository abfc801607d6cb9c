#include "eval/score.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/sizes.h"
#include "eval/scorer.h"
#include "eval/whole_set.h"

namespace retort::eval {
namespace {

/// The figures of a set, hard ones first.
std::vector<Wanted> wanted_of(const Scorer& scorer, const ScoreOptions& options) {
  std::vector<std::string> real = {"random"};
  for (const std::string& method : options.coresets)
    if (method != random_coreset()) real.push_back(method);
  std::vector<Wanted> all = {{"distilled", "hard"}};
  for (const std::string& method : real) all.push_back({method, "hard"});
  all.push_back({"distilled", "own"});
  for (const std::string& method : real)
    if (scorer.soft()) all.push_back({method, "own"});
  if (!scorer.soft()) all.push_back({"random", "own"});
  all.push_back({"distilled", "own", false});
  all.push_back({"random", "own", false});
  return all;
}

void add_scores(const ScoreOptions& options, Score& score) {
  const double whole = interval_of(score.whole).mean;
  std::vector<double> recovery, improvement, label, augmentation;
  const auto of = [&](const char* subject, const char* labels, bool augmented, size_t run) {
    return score.find(subject, labels, augmented).accuracies.at(run);
  };
  for (size_t run = 0; run < to_size(options.runs); ++run) {
    const RunScores scores =
        scores_of({whole, of("distilled", "hard", true, run), of("distilled", "own", true, run),
                   of("random", "own", true, run), of("distilled", "own", false, run),
                   of("random", "own", false, run)},
                  options.label_weight, options.augmentation_weight);
    recovery.push_back(scores.hard_recovery);
    improvement.push_back(scores.improvement);
    label.push_back(scores.label_robust);
    augmentation.push_back(scores.augmentation_robust);
  }
  score.hard_recovery = interval_of(recovery);
  score.improvement = interval_of(improvement);
  score.label_robust = interval_of(label);
  score.augmentation_robust = interval_of(augmentation);
}

void add_notes(const ScoreRun& run, const Scorer& scorer, const synthetic::Bundle& bundle,
               Score& score) {
  score.notes.push_back(
      fmt::format("rates were chosen among {} on {} images that are not tested, held out of the "
                  "whole set and of "
                  "the coresets",
                  fmt::join(run.options.rates, ", "), score.validation_images));
  if (bundle.split.validation_fraction == 0)
    score.notes.push_back(
        "the set itself may have been made from these images: its rates are a little favoured");
  std::vector<std::string> at_end;
  for (const ScoreFigure& figure : score.figures)
    if (figure.at_end)
      at_end.push_back(fmt::format("{} ({} labels{}) {}", figure.subject, figure.labels,
                                   figure.augmented ? "" : ", no augmentation", figure.rate));
  if (!at_end.empty())
    score.notes.push_back(
        fmt::format("{}: the best rate is at an end of those tried: {}; more "
                    "--rates would tell",
                    score.name, fmt::join(at_end, ", ")));
  if (scorer.needs_labels())
    score.notes.push_back("real images have the soft labels of the first student of the whole set");
  if (run.options.whole_set_accuracy > 0)
    score.notes.push_back("the accuracy of the whole set was given, not measured");
}

}  // namespace

const ScoreFigure& Score::find(const std::string& subject, const std::string& wanted,
                               bool augmented) const {
  for (const ScoreFigure& figure : figures)
    if (figure.subject == subject && figure.labels == wanted && figure.augmented == augmented)
      return figure;
  TORCH_CHECK(false, "there is no figure of ", subject, " with ", wanted, " labels");
}

bool Score::has(const std::string& subject, const std::string& wanted) const {
  return std::ranges::any_of(figures, [&](const ScoreFigure& figure) {
    return figure.subject == subject && figure.labels == wanted && figure.augmented;
  });
}

std::optional<Score> score_set(const ScoreRun& run, const std::string& name,
                               const synthetic::Bundle& bundle) {
  check_fit(bundle, run.data);
  Scorer scorer(run, bundle);
  Score score;
  score.name = name;
  score.method = bundle.method;
  score.network = scorer.network();
  score.protocol = scorer.protocol().name;
  score.labels = scorer.labels();
  score.images = bundle.images.size(0);
  for (const auto& [part, bytes] : bundle.storage())
    (part == "labels" || part == "soft_labels" ? score.label_bytes : score.image_bytes) += bytes;
  score.test_images = run.data.test.size();
  score.validation_images = run.data.validation.size();
  std::optional<WholeSet> whole;
  if (run.options.whole_set_accuracy == 0 || scorer.needs_labels()) {
    whole = train_whole(run, bundle, scorer.network());
    if (!whole) return {};
    scorer.label_by(whole->first);
    score.whole = whole->accuracies;
  }
  if (run.options.whole_set_accuracy > 0) score.whole = {run.options.whole_set_accuracy};
  for (const Wanted& wanted : wanted_of(scorer, run.options)) {
    std::optional<ScoreFigure> figure = scorer.figure(wanted);
    if (!figure) return {};
    score.figures.push_back(std::move(*figure));
  }
  add_scores(run.options, score);
  add_notes(run, scorer, bundle, score);
  return score;
}

}  // namespace retort::eval
