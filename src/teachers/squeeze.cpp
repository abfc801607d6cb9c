// Training a teacher epoch by epoch, its linear probe, and the folder that keeps both.
#include "teachers/squeeze.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "core/note.h"
#include "core/sizes.h"
#include "core/version.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/train/trainer.h"
#include "teachers/probe.h"
#include "teachers/squeeze_state.h"
#include "teachers/squeeze_views.h"

namespace retort::teachers {
namespace {

namespace fs = std::filesystem;

/// One training, and what it needs to be gone on with.
class Squeeze {
 public:
  Squeeze(const SqueezeInput& input, fs::path folder)
      : input_(input),
        options_(input.options),
        folder_(std::move(folder)),
        views_(input),
        state_(input),
        rows_(rows_of(input)) {}

  SqueezeOutcome run() {
    if (std::optional<Teacher> made = finished())
      return {std::move(*made), options_.epochs, kUnknown, false, false};
    int64_t done = resume_or_begin();
    RecordWriter records(folder_ / "records.jsonl", done == 0 ? -1 : done);
    if (done == 0) records.write(opening());
    Progress progress(input_.progress, label() + ", steps", options_.epochs * batches(),
                      done * batches());
    double loss = kUnknown;
    while (done < options_.epochs) {
      const auto begin = std::chrono::steady_clock::now();
      const std::optional<double> now = epoch(done, loss, progress);
      if (!now) return {{}, done, loss, false, true};
      loss = *now;
      progress.update(++done * batches(), loss);
      records.write({{"kind", "iteration"},
                     {"iteration", done},
                     {"loss", loss},
                     {"learning_rate", squeeze_rate(options_, done - 1)},
                     {"seconds", seconds_since(begin)},
                     {"peak_memory_bytes", peak_memory_bytes()}});
      // A teacher before the checkpoint: a kill between the two makes it again.
      if (options_.keep_every > 0 && done % options_.keep_every == 0 && done < options_.epochs)
        write_teacher(folder_ / fmt::format("teacher_{:04d}.safetensors", done), teacher(done));
      if (done % options_.checkpoint_every == 0 || done == options_.epochs)
        state_.save(checkpoint_path(), done);
    }
    SqueezeOutcome outcome{teacher(done), done, loss, true, false};
    write_teacher(teacher_path(folder_), outcome.teacher);
    records.write({{"kind", "finish"},
                   {"iteration", done},
                   {"accuracy", outcome.teacher.validation_accuracy},
                   {"peak_memory_bytes", peak_memory_bytes()}});
    return outcome;
  }

 private:
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  /// The teacher of an earlier start; nothing where it is damaged, and made again.
  std::optional<Teacher> finished() const {
    if (!fs::exists(teacher_path(folder_))) return {};
    try {
      return read_teacher(teacher_path(folder_));
    } catch (const DataError& problem) {
      if (!fs::exists(checkpoint_path())) throw;
      const std::string text = problem.what();
      say_note(input_.progress, text.substr(0, text.find('\n')) + " It is made again");
      return {};
    }
  }

  static std::vector<int64_t> rows_of(const SqueezeInput& input) {
    const int64_t size = input.data.train.size(), wanted = input.options.images;
    if (wanted > 0 && wanted < size) {
      std::vector<int64_t> rows =
          RandomStream(input.split_seed, "squeeze.images").sample(size, wanted);
      std::sort(rows.begin(), rows.end());  // reading a mapped file is quicker forwards
      return rows;
    }
    std::vector<int64_t> rows(to_size(size));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  static double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  std::string label() const {
    return fmt::format("{} {} on {}", options_.objective, input_.network.name(), input_.data.name);
  }

  Json opening() const {
    return {{"kind", "run"},
            {"program_version", version()},
            {"method", "squeeze"},
            {"objective", options_.objective},
            {"network", input_.network.name()},
            {"parameters", input_.network.parameters().size},
            {"data", input_.data.name},
            {"data_hash", input_.data.hash},
            {"images", rows_.size()},
            {"augmentation", augmentation_of(input_)},
            {"device", input_.device.str()},
            {"seed", options_.seed}};
  }

  int64_t resume_or_begin() {
    if (fs::exists(checkpoint_path())) return state_.load(checkpoint_path());
    state_.begin();
    return 0;
  }

  fs::path checkpoint_path() const { return folder_ / "checkpoint.safetensors"; }

  int64_t batch() const { return std::min(options_.batch_size, std::ssize(rows_)); }
  // Contrast needs full batches; a small last one would also spoil BatchNorm's statistics.
  int64_t batches() const {
    const auto size = std::ssize(rows_);
    return state_.views() > 1 ? size / batch() : (size + batch() - 1) / batch();
  }

  /// One pass; its mean loss, or nothing where a stop was asked for in the middle. `before` is the
  /// loss of the pass before.
  std::optional<double> epoch(int64_t index, double before, Progress& progress) {
    const auto size = std::ssize(rows_);
    const std::vector<int64_t> order =
        squeeze_stream(options_, "squeeze.order", index).permutation(size);
    at::Tensor sum = at::zeros({}, at::TensorOptions(input_.device).dtype(at::kDouble));
    int64_t seen = 0;
    for (int64_t b = 0; b < batches(); ++b) {
      if (input_.stop && input_.stop->requested()) return {};
      progress.update(index * batches() + b,
                      std::isfinite(before) ? std::optional(before) : std::nullopt);
      std::vector<int64_t> rows;
      for (int64_t i = b * batch(); i < std::min((b + 1) * batch(), size); ++i)
        rows.push_back(rows_[to_size(order[to_size(i)])]);
      sum.add_(step(rows, index, b).to(at::kDouble), static_cast<double>(rows.size()));
      seen += std::ssize(rows);
    }
    const double loss = sum.item<double>() / static_cast<double>(seen);
    if (!std::isfinite(loss))
      throw StateError(ErrorMessage{fmt::format("squeezing, epoch {}", index + 1),
                                    fmt::format("the mean loss is {}", loss), "a finite loss",
                                    "lower --learning-rate"});
    return loss;
  }

  at::Tensor step(const std::vector<int64_t>& rows, int64_t epoch, int64_t batch) {
    const at::Tensor index = at::tensor(rows, at::kLong);
    const at::Tensor bytes = input_.data.train.images.index_select(0, index);
    const at::Tensor labels = input_.data.train.labels.index_select(0, index).to(input_.device);
    std::vector<at::Tensor> views;
    for (int64_t v = 0; v < state_.views(); ++v)
      views.push_back(views_.get(bytes, squeeze_stream(options_, "squeeze.view", epoch, batch, v)));
    return state_.step(views, labels, epoch, batch);
  }

  /// The teacher as it would be now: statistics, probe, accuracy.
  Teacher teacher(int64_t done) const {
    const data::Dataset& data = input_.data;
    at::Tensor theta = state_.learner().theta.clone(), state = state_.learner().state;
    if (options_.statistics == "recalibrated" && state.defined()) state = recalibrated();
    if (options_.objective != "supervised") {
      const ProbeOptions probe{options_.probe_epochs, options_.probe_learning_rate,
                               options_.batch_size, static_cast<uint64_t>(options_.seed)};
      theta = probed(input_.network, theta, state, data, rows_, probe, input_.device);
    }
    const data::Split& judge = data.validation.size() > 0 ? data.validation : data.test;
    Teacher result;
    result.network = input_.network.name();
    result.shape = input_.network.shape();
    result.validation_accuracy =
        train::accuracy(input_.network, {theta, state}, judge, data.preprocessing, input_.device);
    result.theta = theta.to(at::kCPU);
    if (state.defined()) result.state = state.to(at::kCPU);
    result.preprocessing = data.preprocessing;
    result.class_names = data.class_names;
    result.data_name = data.name;
    result.data_hash = data.hash;
    result.split = data.split;
    result.objective = options_.objective;
    result.statistics = options_.statistics;
    result.epochs = done;
    result.recipe = input_.recipe;
    return result;
  }

  at::Tensor recalibrated() const {
    std::vector<int64_t> rows;
    const auto size = std::ssize(rows_);
    for (const int64_t i :
         squeeze_stream(options_, "squeeze.statistics").sample(size, options_.statistics_images))
      rows.push_back(rows_[to_size(i)]);
    return recalibrated_batchnorm(
        input_.network, state_.learner().theta,
        input_.data.train.images.index_select(0, at::tensor(rows, at::kLong)),
        input_.data.preprocessing, options_.batch_size);
  }

  const SqueezeInput& input_;
  const SqueezeOptions& options_;
  const fs::path folder_;
  const SqueezeViews views_;
  SqueezeState state_;
  const std::vector<int64_t> rows_;  // of the training part
};

}  // namespace

SqueezeOutcome squeeze(const SqueezeInput& input, const fs::path& folder) {
  return Squeeze(input, folder).run();
}

}  // namespace retort::teachers
