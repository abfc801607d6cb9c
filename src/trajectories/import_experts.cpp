// MTT's replay_buffer_k.pt: a list of trajectories, each a list of snapshots, each a list of the
// parameters' tensors in the order of PyTorch's modules, which is that of our slots.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "core/sizes.h"
#include "io/torch_file.h"
#include "retort/core/error.h"
#include "retort/trajectories/experts.h"
#include "trajectories/expert_folder.h"

namespace retort::trajectories {
namespace {

using Items = std::vector<std::shared_ptr<Pickle>>;

/// The buffer that is being read, for messages.
struct Buffer {
  std::string path;
  TorchFile file;
  explicit Buffer(const std::string& from) : path(from), file(from) {}

  [[noreturn]] void refuse(const std::string& found, const std::string& accepted) const {
    throw DataError(ErrorMessage{"importing the experts of '" + path + "'", found, accepted,
                                 "check the file, and that --network and --data are those of its "
                                 "experts"});
  }

  const Items& list(const Pickle& value, const std::string& what) const {
    const bool listed = value.is(Pickle::Kind::kList) || value.is(Pickle::Kind::kTuple);
    if (!listed || value.items.empty())
      refuse(what + " is not a list, or is empty",
             "a list of trajectories, each a list of snapshots, each a list of tensors");
    return value.items;
  }
};

/// One snapshot as a flat vector; every shape is checked.
at::Tensor flatten(const Buffer& buffer, const Pickle& snapshot, const std::string& where,
                   const nets::Network& network) {
  const std::vector<nets::Slot>& slots = network.parameters().slots;
  const Items& tensors = buffer.list(snapshot, where);
  const std::string wanted = fmt::format(
      "the {} parameters of '{}' for {} x {} x {} images and {} "
      "classes",
      slots.size(), network.name(), network.shape().channels, network.shape().height,
      network.shape().width, network.shape().classes);
  if (tensors.size() != slots.size())
    buffer.refuse(fmt::format("{} has {} tensors", where, tensors.size()), wanted);
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < slots.size(); ++i) {
    const at::Tensor tensor = buffer.file.tensor(*tensors[i]);
    if (!tensor.is_floating_point() || tensor.sizes() != at::IntArrayRef(slots[i].shape))
      buffer.refuse(
          fmt::format("tensor {} of {} is {} [{}]", i, where,
                      tensor.is_floating_point() ? "of the shape" : "no float, of the shape",
                      fmt::join(tensor.sizes(), ", ")),
          fmt::format("[{}] for '{}', {} of {}", fmt::join(slots[i].shape, ", "), slots[i].name, i,
                      wanted));
    parts.push_back(tensor.to(at::kFloat).flatten());
  }
  const at::Tensor theta = at::cat(parts);
  if (!theta.isfinite().all().item<bool>())
    buffer.refuse(where + " holds a number that is not finite", "finite numbers");
  return theta;
}

/// Calls `take` with each snapshot of a trajectory as a flat vector, in order.
template <class Take>
void read_snapshots(const Buffer& buffer, const Pickle& trajectory, const std::string& name,
                    const nets::Network& network, Take&& take) {
  const Items& snapshots = buffer.list(trajectory, name);
  if (snapshots.size() < 2) buffer.refuse(name + " has one snapshot", "two or more");
  for (size_t epoch = 0; epoch < snapshots.size(); ++epoch)
    take(
        static_cast<int64_t>(epoch),
        flatten(buffer, *snapshots[epoch], fmt::format("snapshot {} of {}", epoch, name), network));
}

/// Writes one trajectory as the expert of the plan, unless it is there.
void write_expert(const Buffer& buffer, const Pickle& trajectory, const TrajectoryPlan& plan,
                  const ExpertInput& input) {
  const auto file = GrowingTrajectory::claim(plan);
  if (!file) return;
  file->make();
  train::ModelState last;
  read_snapshots(buffer, trajectory, plan.metadata.at("origin"), input.network,
                 [&](int64_t epoch, const at::Tensor& theta) {
                   file->write(epoch, theta, std::numeric_limits<double>::quiet_NaN());
                   last.theta = theta;
                 });
  last.theta = last.theta.to(input.device);
  file->finish(train::accuracy(input.network, last, input.data.test, input.data.preprocessing,
                               input.device));
}

}  // namespace

void check_import(const ExpertInput& input) {
  for (const std::string& path : input.options.imports) {
    const Buffer buffer(path);
    const Items& trajectories = buffer.list(buffer.file.root(), "the file");
    for (size_t i = 0; i < trajectories.size(); ++i)
      read_snapshots(buffer, *trajectories[i], fmt::format("trajectory {}", i), input.network,
                     [](int64_t, const at::Tensor&) {});
  }
}

ExpertOutcome import_experts(const ExpertInput& input, const std::filesystem::path& folder) {
  ExpertOutcome outcome;
  TrajectoryPlan plan = plan_of(input, folder);
  for (const std::string& path : input.options.imports) {
    const std::string name = std::filesystem::path(path).filename().string();
    const Buffer buffer(path);
    const Items& trajectories = buffer.list(buffer.file.root(), "the file");
    const auto count = std::ssize(trajectories);
    Progress progress(input.progress, name, count);
    for (int64_t i = 0; i < count; ++i, ++plan.expert) {
      outcome.stopped = input.stop && input.stop->requested();
      if (outcome.stopped) return outcome;
      const Pickle& trajectory = *trajectories[to_size(i)];
      plan.epochs = std::ssize(trajectory.items) - 1;
      plan.metadata["origin"] = fmt::format("imported from {}, trajectory {}", name, i);
      const TrajectoryPlan whole = complete(plan);
      const bool there = std::filesystem::exists(trajectory_path(folder, plan.expert));
      write_expert(buffer, trajectory, whole, input);
      outcome.experts.push_back(finished_result(whole));
      if (!there) ++outcome.made;
      progress.update(i + 1);
    }
  }
  record_results(folder, outcome.experts);
  return outcome;
}

}  // namespace retort::trajectories
