// Writing one expert's file. While it grows it is called expert_0007.partial, holds the lock of the
// expert, and stands beside expert_0007.checkpoint, which says how far its rows count.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/sizes.h"
#include "io/checkpoint.h"
#include "io/content_hash.h"
#include "io/scalar_types.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "trajectories/trajectory_file.h"

namespace retort::trajectories {
namespace {

constexpr const char* kCheckpointFormat = "retort.expert_checkpoint";

/// What the file holds, in its order: accuracy, hashes of the snapshots, losses, snapshots.
std::map<std::string, RawTensor> tensors_of(const TrajectoryPlan& plan) {
  return {{"accuracy", {DType::kF64, {}, {}}},
          {piece_hashes("snapshots"), {DType::kI64, {plan.epochs + 1}, {}}},
          {"losses", {DType::kF64, {plan.epochs}, {}}},
          {"snapshots", {plan.dtype, {plan.epochs + 1, plan.parameters}, {}}}};
}

std::string header_of(const TrajectoryPlan& plan) {
  return safetensors_header(tensors_of(plan), plan.metadata);
}

/// Bytes before the snapshots: the header, and 8 for the accuracy, each hash and each loss.
uint64_t small_part(const TrajectoryPlan& plan) {
  return header_of(plan).size() + 8 * static_cast<uint64_t>(2 * plan.epochs + 2);
}

uint64_t row_bytes(const TrajectoryPlan& plan) {
  return static_cast<uint64_t>(plan.parameters) * dtype_size(plan.dtype);
}

bool same_file(int open, const std::filesystem::path& path) {
  struct stat here {
  }, there{};
  return ::fstat(open, &here) == 0 && ::stat(path.c_str(), &there) == 0 &&
         here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/// The epoch of a checkpoint; nothing where it is none.
std::optional<int64_t> epoch_of(const Metadata& metadata) {
  const auto format = metadata.find("format"), text = metadata.find("epoch");
  if (format == metadata.end() || format->second != kCheckpointFormat || text == metadata.end())
    return {};
  const char* end = text->second.data() + text->second.size();
  int64_t epoch = 0;
  const auto read = std::from_chars(text->second.data(), end, epoch);
  if (read.ec != std::errc() || read.ptr != end || epoch < 1) return {};
  return epoch;
}

void remove_checkpoints(const std::filesystem::path& checkpoint) {
  std::error_code ignored;  // a file that stays does no harm: it is removed at the next start
  for (const auto& path : {checkpoint, previous_checkpoint(checkpoint)}) {
    std::filesystem::remove(path, ignored);
    remove_leftovers(path);
  }
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& found,
                         const std::string& wanted) {
  throw StateError(
      ErrorMessage{"going on with '" + path.string() + "'", found, wanted,
                   "give the same data and options, or remove the .partial and .checkpoint "
                   "files of this expert to train it anew"});
}

}  // namespace

int64_t trajectory_bytes(const TrajectoryPlan& plan) {
  return static_cast<int64_t>(small_part(plan) +
                              static_cast<uint64_t>(plan.epochs + 1) * row_bytes(plan));
}

int64_t GrowingTrajectory::reached(const TrajectoryPlan& plan) {
  auto path = trajectory_path(plan.folder, plan.expert).replace_extension(".checkpoint");
  if (!std::filesystem::exists(path)) return 0;
  try {
    return epoch_of(load_checkpoint(path).file.metadata).value_or(0);
  } catch (const DataError&) {
    return 0;  // damaged: the expert is begun anew
  }
}

std::unique_ptr<GrowingTrajectory> GrowingTrajectory::claim(const TrajectoryPlan& plan) {
  const std::filesystem::path path = trajectory_path(plan.folder, plan.expert);
  const auto partial = std::filesystem::path(path).replace_extension(".partial");
  while (!std::filesystem::exists(path)) {
    const int file = ::open(partial.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (file < 0) throw ResourceError::io("writing '" + partial.string() + "'");
    std::unique_ptr<GrowingTrajectory> claimed(new GrowingTrajectory(plan, file));
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) return nullptr;
    // Another process may have finished and renamed the file between opening and locking.
    if (same_file(file, partial)) return claimed;
  }
  remove_checkpoints(std::filesystem::path(path).replace_extension(".checkpoint"));
  return nullptr;
}

GrowingTrajectory::GrowingTrajectory(const TrajectoryPlan& plan, int file)
    : plan_(plan),
      partial_(trajectory_path(plan.folder, plan.expert).replace_extension(".partial")),
      checkpoint_(trajectory_path(plan.folder, plan.expert).replace_extension(".checkpoint")),
      header_(header_of(plan)),
      size_(static_cast<uint64_t>(trajectory_bytes(plan))),
      hashes_(to_size(plan.epochs + 1)),
      losses_(to_size(plan.epochs)),
      file_(file) {}

GrowingTrajectory::~GrowingTrajectory() {
  if (file_ >= 0) ::close(file_);
}

void GrowingTrajectory::put(const void* data, size_t size, uint64_t offset) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(file_, at, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw ResourceError::io("writing '" + partial_.string() + "'");
    at += written;
    offset += static_cast<uint64_t>(written);
    size -= to_size(written);
  }
}

void GrowingTrajectory::make() {
  int problem = ::ftruncate(file_, 0) == 0 ? 0 : errno;
  if (problem == 0) problem = ::posix_fallocate(file_, 0, static_cast<off_t>(size_));
  if (problem == EOPNOTSUPP || problem == EINVAL)
    problem = ::ftruncate(file_, static_cast<off_t>(size_)) == 0 ? 0 : errno;
  if (problem != 0) {
    ::unlink(partial_.c_str());
    errno = problem;
    throw ResourceError::io("writing '" + partial_.string() + "'");
  }
  put(header_.data(), header_.size(), 0);
}

std::optional<GrowingTrajectory::Reached> GrowingTrajectory::open() {
  remove_leftovers(checkpoint_);
  if (!std::filesystem::exists(checkpoint_)) {
    make();
    return {};
  }
  std::optional<Checkpoint> saved;
  try {
    saved = load_checkpoint(checkpoint_);
    note_ = saved->note;
  } catch (const DataError& problem) {
    const std::string text = problem.what();
    note_ = text.substr(0, text.find('\n')) + " This expert is trained anew";
  }
  if (saved) {
    const Reached reached = take(saved->file);
    const int64_t damaged = first_damaged(reached.epoch);
    if (damaged > reached.epoch) return reached;
    note_ = fmt::format(
        "'{}' is damaged, snapshot {} is not as it was written: this expert is "
        "trained anew",
        partial_.string(), damaged);
  }
  remove_checkpoints(checkpoint_);
  make();
  return {};
}

/// The state of a checkpoint; hashes and losses become those of its rows.
GrowingTrajectory::Reached GrowingTrajectory::take(const TensorFile& saved) {
  const std::optional<int64_t> epoch = epoch_of(saved.metadata);
  if (!epoch || *epoch > plan_.epochs)
    refuse(checkpoint_, "it is not a checkpoint of an expert, or of more epochs",
           fmt::format("one of an epoch from 1 to {}", plan_.epochs));
  const Reached reached{*epoch, tensor_of(saved, "theta", checkpoint_.string())};
  if (reached.theta.scalar_type() != at::kFloat ||
      reached.theta.sizes() != at::IntArrayRef({plan_.parameters}))
    refuse(checkpoint_, "its parameters are of another type or number",
           fmt::format("{} numbers", plan_.parameters));
  const at::Tensor hashes = tensor_of(saved, "hashes", checkpoint_.string()),
                   losses = tensor_of(saved, "losses", checkpoint_.string());
  if (hashes.scalar_type() != at::kLong || hashes.sizes() != at::IntArrayRef({plan_.epochs + 1}) ||
      losses.scalar_type() != at::kDouble || losses.sizes() != at::IntArrayRef({plan_.epochs}))
    refuse(checkpoint_, "it is of another number of epochs", fmt::format("{}", plan_.epochs));
  std::copy_n(hashes.data_ptr<int64_t>(), hashes.numel(), hashes_.begin());
  std::copy_n(losses.data_ptr<double>(), losses.numel(), losses_.begin());
  std::string begun(header_.size(), '\0');
  struct stat about {};
  const bool whole =
      ::fstat(file_, &about) == 0 && static_cast<uint64_t>(about.st_size) == size_ &&
      ::pread(file_, begun.data(), begun.size(), 0) == static_cast<ssize_t>(begun.size());
  if (!whole || unsealed_header(begun) != header_)
    refuse(partial_, "it was begun with other data or options, or is damaged",
           "the file that the same command began");
  return reached;
}

/// The first of the rows up to `last` that is not as it was written, or the one behind them.
int64_t GrowingTrajectory::first_damaged(int64_t last) const {
  std::string row(row_bytes(plan_), '\0');
  for (int64_t epoch = 0; epoch <= last; ++epoch) {
    const uint64_t at = small_part(plan_) + static_cast<uint64_t>(epoch) * row.size();
    const ssize_t got = ::pread(file_, row.data(), row.size(), static_cast<off_t>(at));
    if (got != static_cast<ssize_t>(row.size()) ||
        piece_hash(row.data(), row.size()) != hashes_[to_size(epoch)])
      return epoch;
  }
  return last + 1;
}

void GrowingTrajectory::write(int64_t epoch, const at::Tensor& theta, double loss) {
  TORCH_CHECK(epoch >= 0 && epoch <= plan_.epochs && theta.numel() == plan_.parameters, "snapshot ",
              epoch, " of ", theta.numel(), " numbers");
  const at::Tensor row = theta.detach().to(at::kCPU, scalar_type_of(plan_.dtype)).contiguous();
  const bool half = plan_.dtype == DType::kF16;
  if (!row.isfinite().all().item<bool>())
    throw StateError(ErrorMessage{"writing '" + partial_.string() + "'",
                                  fmt::format("snapshot {} holds a number that {}", epoch,
                                              half ? "float16 cannot hold" : "is not finite"),
                                  {},
                                  half ? "train with --snapshots float32 in another folder"
                                       : "lower --learning-rate and train in another folder"});
  if (epoch > 0) losses_[to_size(epoch - 1)] = loss;
  hashes_[to_size(epoch)] = piece_hash(row.data_ptr(), row.nbytes());
  put(row.data_ptr(), row.nbytes(),
      small_part(plan_) + static_cast<uint64_t>(epoch) * row_bytes(plan_));
}

void GrowingTrajectory::checkpoint(int64_t epoch, const at::Tensor& theta) {
  if (::fdatasync(file_) != 0) throw ResourceError::io("writing '" + partial_.string() + "'");
  save_checkpoint(
      checkpoint_,
      {{"theta", theta}, {"hashes", at::tensor(hashes_)}, {"losses", at::tensor(losses_)}},
      {{"format", kCheckpointFormat}, {"epoch", std::to_string(epoch)}});
}

void GrowingTrajectory::finish(double accuracy) {
  const auto path = trajectory_path(plan_.folder, plan_.expert);
  auto tensors = tensors_of(plan_);
  tensors["accuracy"].bytes = std::as_bytes(std::span(&accuracy, 1));
  tensors[piece_hashes("snapshots")].bytes = std::as_bytes(std::span(hashes_));
  tensors["losses"].bytes = std::as_bytes(std::span(losses_));
  std::string small = sealed_header(header_, tensors);
  for (const auto& [name, tensor] : tensors)
    small.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  put(small.data(), small.size(), 0);
  if (::fsync(file_) != 0 || ::rename(partial_.c_str(), path.c_str()) != 0)
    throw ResourceError::io("writing '" + path.string() + "'");
  sync_folder(plan_.folder);
  remove_checkpoints(checkpoint_);
}

}  // namespace retort::trajectories
