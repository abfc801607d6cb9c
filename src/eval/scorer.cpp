#include "eval/scorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/file.h"
#include "eval/candidates.h"
#include "retort/core/error.h"

namespace retort::eval {
namespace {

constexpr const char* kDoing = "scoring sets";

}  // namespace

Scorer::Scorer(const ScoreRun& run, const synthetic::Bundle& bundle)
    : run_(run), bundle_(bundle), protocol_(protocol_of(bundle, options())) {
  bundle_.chosen = false;  // the stored set is scored
  network_ = run.options.network.empty() ? student_of(bundle, protocol_) : run.options.network;
  for (const std::string& text : run.options.rates) rates_.push_back(learning_rate_of(text));
  std::sort(rates_.begin(), rates_.end());
  if (protocol_.post) require_teacher();
}

EvalOptions Scorer::options() const {
  EvalOptions options;
  options.protocol = run_.options.protocol;
  options.evaluation_epochs = run_.options.evaluation_epochs;
  options.random_baseline = options.redraw = false;
  options.seed = run_.options.seed;
  return options;
}

EvalOptions Scorer::options(const Wanted& wanted) const {
  EvalOptions options = this->options();
  options.networks = {network_};
  if (!protocol_.post) return options;
  options.student_labels = wanted.labels == "hard" ? "hard" : run_.options.student_labels;
  if (wanted.labels == "own") options.teacher = run_.options.teacher;
  const bool stored = labels() == "stored";
  if (wanted.labels == "own" && stored && (wanted.subject != "distilled" || !wanted.augmented))
    options.student_labels = "live";  // stored ones are of the set's own views
  return options;
}

std::string Scorer::labels() const {
  if (stored_soft()) return "soft";
  if (!protocol_.post) return "hard";
  const std::string& asked = run_.options.student_labels;
  if (asked == "hard" || (asked == "auto" && run_.options.teacher.empty())) return "hard";
  return asked == "auto" || asked == "live" ? "live" : "stored";
}

void Scorer::require_teacher() const {
  if (labels() != "stored" || !run_.options.teacher.empty()) return;
  throw ConfigError(ErrorMessage{kDoing,
                                 "real images have no stored labels",
                                 "--teacher, which labels them as the set was labelled",
                                 {}});
}

/// Without augmentation: batches as they are.
Protocol Scorer::protocol(const Wanted& wanted) const {
  Protocol protocol = protocol_;
  if (wanted.augmented) return protocol;
  protocol.training.augmentation = "none";
  if (!protocol.post) return protocol;
  protocol.post->mosaics = protocol.post->views.flip = false;
  protocol.post->views.min_crop_area = 1;
  protocol.post->views.padding = 0;
  protocol.post->views.mixing = "none";
  return protocol;
}

synthetic::Bundle Scorer::set(const Wanted& wanted, int64_t draw) {
  if (wanted.subject == "distilled") {
    synthetic::Bundle set = bundle_;
    if (wanted.labels == "hard" && set.soft_label_kind != "targets") set.soft_labels = at::Tensor();
    return set;
  }
  auto found = coresets_.find({wanted.subject, draw});
  if (found == coresets_.end()) {
    const CoresetChoice choice{wanted.subject, run_.options.selection_epochs,
                               static_cast<uint64_t>(run_.options.seed + draw)};
    found = coresets_
                .emplace(std::pair(wanted.subject, draw),
                         choose_coreset(bundle_, run_.data, choice, run_.device, run_.style))
                .first;
  }
  synthetic::Bundle set = found->second;
  if (wanted.labels == "hard" || !stored_soft()) return set;
  const auto network = nets::make_network(
      network_, {run_.data.channels, run_.data.height, run_.data.width, run_.data.classes()});
  TORCH_CHECK(whole_, "real images are labelled by a network of the whole set");
  set.soft_labels =
      network->predict(whole_->theta, whole_->state, set.images.to(run_.device)).softmax(1).cpu();
  return set;
}

/// All that a figure depends on.
std::string Scorer::key(const Wanted& wanted, const std::string& part, double rate) const {
  const bool real = wanted.subject != "distilled", own = wanted.labels == "own";
  Json key{{"subject", wanted.subject},
           {"labels", own ? labels() : "hard"},
           {"augmented", wanted.augmented},
           {"part", part},
           {"rate", rate},
           {"students", part == "test" ? run_.options.runs : 1},
           {"protocol", protocol_.name},
           {"epochs", run_.options.evaluation_epochs},
           {"network", network_},
           {"augmentation", bundle_.augmentation},
           {"preprocessing", bundle_.preprocessing.kind()},
           {"seed", run_.options.seed},
           {"data", run_.data.hash},
           {"images", run_.data.train.size()},
           {"steps", hash_of({bundle_.step_learning_rates})}};
  if (real) {
    key["set"] = random_counts(bundle_, run_.data);
    key["network_of_set"] = bundle_.network;
    key["compact"] = bundle_.compact.empty() ? 0 : bundle_.images.size(0);
    if (wanted.subject != random_coreset()) key["selection_epochs"] = run_.options.selection_epochs;
    if (own && stored_soft()) key["labelled_by"] = run_.options.whole_set_epochs;
  } else {
    key["set"] =
        hash_of({bundle_.images, bundle_.labels, own ? bundle_.soft_labels : at::Tensor()});
  }
  if (own && taught()) key["teacher"] = run_.options.teacher + " " + run_.options.student_labels;
  return json_text(key);
}

std::vector<double> Scorer::trained(const Wanted& wanted, const std::string& part, double rate) {
  const std::string known = key(wanted, part, rate);
  if (const auto found = run_.kept.find(known))
    return found->at("accuracies").get<std::vector<double>>();
  EvalOptions options = this->options(wanted);
  options.part = part;
  options.students = part == "test" ? run_.options.runs : 1;
  const Protocol protocol = this->protocol(wanted);
  const auto ready = [&](int64_t student) {
    synthetic::Bundle set = this->set(wanted, student % draws(wanted));
    if (rate > 0) set.student_learning_rate = rate;
    return set;
  };
  const synthetic::Bundle first = ready(0);
  if (!bundle_.compact.empty() && wanted.subject != "distilled" && !protocol.steps) {
    // Fewer images make fewer steps of an epoch: as many steps in all.
    const int64_t batch =
        protocol.post ? views_of(protocol, first).batch_size : protocol.training.batch_size;
    const auto steps = [&](const at::Tensor& images) {
      return (images.size(0) + batch - 1) / batch;
    };
    const int64_t epochs =
        options.evaluation_epochs > 0 ? options.evaluation_epochs : protocol.training.epochs;
    options.evaluation_epochs =
        (epochs * steps(bundle_.images) + steps(first.images) - 1) / steps(first.images);
  }
  Redraw redraw;
  if (draws(wanted) > 1 && options.students > 1) redraw = ready;
  const Evaluation evaluation =
      evaluate_under({first, run_.data, protocol, options, redraw, run_.device, run_.style,
                      run_.stop, ProcessGroup::alone()});
  if (stopped()) return {};
  const std::vector<double>& accuracies = evaluation.results.at(0).accuracies;
  run_.kept.add(known, {{"accuracies", accuracies},
                        {"steps", evaluation.results[0].steps},
                        {"seconds", evaluation.results[0].seconds}});
  return accuracies;
}

/// The rate of one student that does best on the validation part; the lower of equal ones.
void Scorer::search(const Wanted& wanted, ScoreFigure& figure) {
  double highest = -1;
  for (const double rate : rates_) {
    if (stopped()) return;
    double accuracy = 0;
    try {
      const std::vector<double> found = trained(wanted, "validation", rate);
      if (found.empty()) return;
      accuracy = found.front();
    } catch (const StateError&) {  // it ran away: not a rate to use
      run_.kept.add(key(wanted, "validation", rate), {{"accuracies", {0.0}}, {"diverged", true}});
    }
    if (accuracy <= highest) continue;
    highest = accuracy;
    figure.rate = rate;
  }
  figure.searched = true;
  figure.at_end =
      rates_.size() > 1 && (figure.rate == rates_.front() || figure.rate == rates_.back());
}

std::optional<ScoreFigure> Scorer::figure(const Wanted& wanted) {
  const auto begin = std::chrono::steady_clock::now();
  ScoreFigure figure;
  figure.subject = wanted.subject;
  figure.labels = wanted.labels;
  figure.augmented = wanted.augmented;
  figure.draws = draws(wanted);
  const bool given =
      wanted.subject == "distilled" && wanted.labels == "own" && bundle_.student_learning_rate;
  if (given)
    figure.rate = *bundle_.student_learning_rate;
  else if (!protocol_.ordered)
    search(wanted, figure);
  if (!stopped()) figure.accuracies = trained(wanted, "test", figure.rate);
  if (stopped() || figure.accuracies.empty()) return {};
  figure.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return figure;
}

}  // namespace retort::eval
