// Experts of MTT (Cazenavette et al., CVPR 2022) and FTD (Du et al., CVPR 2023): plain SGD at a
// constant rate without momentum or decay, siamese augmentation with parameters for each image. One
// after the other on all threads: at 256 images of 3x32x32, two threads make an epoch 1.7 (width
// 32) to 1.8 (width 128) times faster than one, so that two experts side by side would gain 9 to 17
// percent for twice the memory. Processes of a group, which share the experts, have that.
#include "retort/trajectories/experts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "augment/training_strategy.h"
#include "core/note.h"
#include "core/sizes.h"
#include "retort/core/error.h"
#include "retort/core/share.h"
#include "trajectories/expert_folder.h"

namespace retort::trajectories {
namespace {

train::TrainOptions training_of(const ExpertInput& input) {
  const ExpertOptions& options = input.options;
  train::TrainOptions training;
  training.learning_rate = options.learning_rate;
  training.momentum = 0;
  training.weight_decay = 0;
  training.schedule = "constant";
  training.epochs = options.epochs;
  training.batch_size = options.batch_size;
  training.augmentation = options.augmentation == "auto"
                              ? augment::default_strategy(input.data.mirrorable)
                              : options.augmentation;
  training.flat = options.flat;
  return training;
}

/// How an expert is trained, as texts in its file.
Metadata settings_of(const train::TrainOptions& training, const ExpertOptions& options) {
  Metadata texts = {{"origin", "trained"},
                    {"optimiser", training.optimizer},
                    {"learning_rate", fmt::format("{}", training.learning_rate)},
                    {"momentum", fmt::format("{}", training.momentum)},
                    {"weight_decay", fmt::format("{}", training.weight_decay)},
                    {"schedule", training.schedule},
                    {"batch_size", std::to_string(training.batch_size)},
                    {"augmentation", training.augmentation},
                    {"seed", std::to_string(options.seed)},
                    {"flat", training.flat.on ? "yes" : "no"}};
  if (training.flat.on) {
    texts["rho"] = fmt::format("{}", training.flat.rho);
    texts["gsam_alpha"] = fmt::format("{}", training.flat.alpha);
    texts["adaptive"] = training.flat.adaptive ? "yes" : "no";
  }
  return texts;
}

/// Everything that the experts of one call have in common.
class Workshop {
 public:
  Workshop(const ExpertInput& input, const std::filesystem::path& folder)
      : input_(input), training_(training_of(input)), common_(plan_of(input, folder)) {
    common_.metadata.merge(settings_of(training_, input.options));
    const Share shard = parse_shard(input.options.shard);
    for (const int64_t expert : shard.items(input.options.count)) {
      const TrajectoryPlan plan = plan_for(expert);
      if (std::filesystem::exists(trajectory_path(folder, expert)))
        finished_.push_back(finished_result(plan));
      else
        open_.push_back(expert);
    }
  }

  /// Only the part of the open experts that is this process's. A call of all of the group.
  void deal() {
    const std::vector<int64_t> all = open_;
    open_.clear();
    for (const int64_t i : Share().within(group()).items(std::ssize(all)))
      open_.push_back(all[to_size(i)]);
  }

  TrajectoryPlan plan_for(int64_t expert) const {
    TrajectoryPlan plan = common_;
    plan.expert = expert;
    return complete(plan);
  }

  const std::vector<int64_t>& open() const { return open_; }

  ExpertOutcome run() {
    const size_t wanted = finished_.size() + open_.size();
    if (group().first()) {
      record_results(common_.folder, finished_);
      for (const ExpertResult& result : finished_)  // removes what a kill may have left of it
        GrowingTrajectory::claim(plan_for(result.expert));
    }
    group().barrier();  // all have seen what is open
    deal();
    source_ = data::real_source(input_.data.train, input_.data.preprocessing, input_.device);
    const auto total = std::ssize(open_);
    for (const int64_t expert : open_) done_ += GrowingTrajectory::reached(plan_for(expert));
    Progress progress(input_.progress, label(), total * training_.epochs, done_);
    progress_ = &progress;
    for (size_t i = 0; i < open_.size() && !stopped(); ++i) make(open_[i]);
    if (!stopped()) require_all();
    put_together();
    std::sort(finished_.begin(), finished_.end(),
              [](const ExpertResult& a, const ExpertResult& b) { return a.expert < b.expert; });
    return {finished_, made_, finished_.size() < wanted};
  }

 private:
  std::string label() const {
    return fmt::format("{} on {}, {} expert{}", input_.network.name(), input_.data.name,
                       open_.size(), open_.size() == 1 ? "" : "s");
  }

  /// Trains one expert to its end, unless another process is at it or a stop is asked for.
  void make(int64_t expert) {
    const auto begin = std::chrono::steady_clock::now();
    const TrajectoryPlan plan = plan_for(expert);
    const auto file = GrowingTrajectory::claim(plan);
    if (!file) return;
    train_into(*file, plan);
    if (!std::filesystem::exists(trajectory_path(plan.folder, expert))) return;
    finished_.push_back(finished_result(plan));
    ++made_;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    seconds_[expert] = taken.count();
    if (group().size() == 1) record_results(plan.folder, {finished_.back()}, taken.count());
  }

  /// What the others made is known to all; the first process records it, in order of the experts.
  void put_together() {
    if (group().size() == 1) return;
    made_ = 0;
    std::vector<double> mine;
    for (const auto& [expert, seconds] : seconds_)
      mine.insert(mine.end(), {static_cast<double>(expert), seconds});
    const std::vector<double> all = group().gather(mine);
    for (size_t i = 0; i + 1 < all.size(); i += 2) {
      const auto expert = static_cast<int64_t>(all[i]);
      ++made_;
      const ExpertResult result = finished_result(plan_for(expert));
      if (!seconds_.contains(expert)) finished_.push_back(result);
      if (group().first()) record_results(common_.folder, {result}, all[i + 1]);
    }
  }

  void train_into(GrowingTrajectory& file, const TrajectoryPlan& plan) {
    const auto reached = file.open();
    say_note(input_.progress, file.note());
    const train::TrainSeed seed{static_cast<uint64_t>(input_.options.seed), "expert",
                                static_cast<uint64_t>(plan.expert)};
    train::Student student{source_.get(), seed.index, {}};
    if (reached) {
      student.start = {reached->theta, at::Tensor(), reached->epoch};
    } else {
      student.start = train::initial_start(input_.network, seed);
      file.write(0, student.start.theta, 0);
    }
    int64_t done = student.start.epoch;
    train::Callbacks callbacks;
    callbacks.stop = input_.stop;
    callbacks.epoch = [&](const train::Epoch& epoch) {
      done = epoch.done;
      file.write(done, epoch.theta, epoch.loss);
      file.checkpoint(done, epoch.theta);
      progress_->update(++done_, epoch.loss);
    };
    const train::ModelState trained =
        train::train(input_.network, student, training_, seed, input_.device, callbacks);
    if (done < plan.epochs) return;
    file.finish(train::accuracy(input_.network, trained, input_.data.test,
                                input_.data.preprocessing, input_.device));
  }

  const ProcessGroup& group() const { return *input_.group; }
  bool stopped() const { return input_.stop && input_.stop->requested(); }

  /// Those that other processes finished meanwhile count; StateError for those that they did not.
  void require_all() {
    std::vector<int64_t> elsewhere;
    for (const int64_t expert : open_) {
      const bool known = std::any_of(finished_.begin(), finished_.end(),
                                     [&](const ExpertResult& r) { return r.expert == expert; });
      if (known) continue;
      if (std::filesystem::exists(trajectory_path(common_.folder, expert)))
        finished_.push_back(finished_result(plan_for(expert)));
      else
        elsewhere.push_back(expert);
    }
    if (!elsewhere.empty())
      throw StateError(ErrorMessage{
          opening_folder(common_.folder, expert_folder_kind()),
          fmt::format("another process is working on expert {}", fmt::join(elsewhere, ", ")),
          "a folder whose other experts are finished",
          "wait for it, and give the same command again"});
  }

  const ExpertInput& input_;
  const train::TrainOptions training_;
  TrajectoryPlan common_;
  std::unique_ptr<data::BatchSource> source_;
  std::vector<int64_t> open_;
  std::vector<ExpertResult> finished_;
  Progress* progress_ = nullptr;
  int64_t done_ = 0, made_ = 0;
  std::map<int64_t, double> seconds_;  // that each expert of this process took
};

}  // namespace

void check_experts(const ExpertInput& input) {
  if (input.network.state().size > 0)
    throw ConfigError(
        ErrorMessage{"preparing experts of the network '" + input.network.name() + "'",
                     "it keeps running statistics (BatchNorm), which are not part of a trajectory",
                     "networks without, such as convnet, whose norm is that of each image",
                     "leave the variant bn out"});
  augment::parse_training_strategy(training_of(input).augmentation);
  parse_shard(input.options.shard);
}

DiskNeed disk_need(const ExpertInput& input, const std::filesystem::path& folder) {
  const Workshop workshop(input, folder);
  DiskNeed need;
  for (const int64_t expert : workshop.open()) {
    const TrajectoryPlan plan = workshop.plan_for(expert);
    auto partial = trajectory_path(folder, expert).replace_extension(".partial");
    std::error_code absent;
    const auto there = std::filesystem::file_size(partial, absent);
    ++need.experts;
    need.bytes += trajectory_bytes(plan) - (absent ? 0 : static_cast<int64_t>(there));
  }
  // A new checkpoint is written beside the last and the one before.
  if (need.experts > 0) need.bytes += 3 * input.network.parameters().size * int64_t{4};
  std::filesystem::path place = std::filesystem::absolute(folder);
  while (!std::filesystem::exists(place) && place.has_relative_path()) place = place.parent_path();
  need.free_bytes = static_cast<int64_t>(std::filesystem::space(place).available);
  if (need.bytes > need.free_bytes)
    throw ResourceError(ErrorMessage{
        fmt::format("preparing {} experts in '{}'", need.experts, folder.string()),
        fmt::format("they take {} on disk, {} are free",
                    format_bytes(static_cast<double>(need.bytes)),
                    format_bytes(static_cast<double>(need.free_bytes))),
        {},
        "lower --count or --epochs, keep --snapshots float16, or choose another disk with --out"});
  return need;
}

ExpertOutcome train_experts(const ExpertInput& input, const std::filesystem::path& folder) {
  return Workshop(input, folder).run();
}

}  // namespace retort::trajectories
