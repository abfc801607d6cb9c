// Writing one expert's file. While it grows it is called expert_0007.partial, holds the lock of the
// expert, and stands beside expert_0007.checkpoint, which says how far its rows count.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "core/scalar_types.h"
#include "retort/core/error.h"
#include "retort/core/tensor_file.h"
#include "train/trajectory_file.h"

namespace retort::train {
namespace {

constexpr const char* kCheckpointFormat = "retort.expert_checkpoint";

/// The file before its data. In it come accuracy, losses and snapshots, in this order of names.
std::string header_of(const TrajectoryPlan& plan) {
  return safetensors_header({{"accuracy", {DType::kF64, {}, {}}},
                             {"losses", {DType::kF64, {plan.epochs}, {}}},
                             {"snapshots", {plan.dtype, {plan.epochs + 1, plan.parameters}, {}}}},
                            plan.metadata);
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

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& found,
                         const std::string& wanted) {
  throw StateError(Report{"going on with '" + path.string() + "'", found, wanted,
                          "give the same data and options, or remove the .partial and .checkpoint "
                          "files of this expert to train it anew"});
}

}  // namespace

int64_t trajectory_bytes(const TrajectoryPlan& plan) {
  const uint64_t row = sizeof(double) + row_bytes(plan);  // a loss or the accuracy with each
  return static_cast<int64_t>(header_of(plan).size() +
                              static_cast<uint64_t>(plan.epochs + 1) * row);
}

int64_t GrowingTrajectory::reached(const TrajectoryPlan& plan) {
  auto path = trajectory_path(plan.folder, plan.expert).replace_extension(".checkpoint");
  if (!std::filesystem::exists(path)) return 0;
  return epoch_of(load_tensors(path).metadata).value_or(0);
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
  const auto checkpoint = std::filesystem::path(path).replace_extension(".checkpoint");
  std::error_code ignored;
  std::filesystem::remove(checkpoint, ignored);
  remove_leftovers(checkpoint);
  return nullptr;
}

GrowingTrajectory::GrowingTrajectory(const TrajectoryPlan& plan, int file)
    : plan_(plan),
      partial_(trajectory_path(plan.folder, plan.expert).replace_extension(".partial")),
      checkpoint_(trajectory_path(plan.folder, plan.expert).replace_extension(".checkpoint")),
      header_(header_of(plan)),
      size_(static_cast<uint64_t>(trajectory_bytes(plan))),
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
    size -= static_cast<size_t>(written);
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
  const TensorFile saved = load_tensors(checkpoint_);
  const std::optional<int64_t> epoch = epoch_of(saved.metadata);
  if (!epoch || *epoch > plan_.epochs)
    refuse(checkpoint_, "it is no checkpoint of an expert, or of more epochs",
           fmt::format("one of an epoch from 1 to {}", plan_.epochs));
  const Reached reached{*epoch, tensor_of(saved, "theta", checkpoint_.string())};
  if (reached.theta.scalar_type() != at::kFloat ||
      reached.theta.sizes() != at::IntArrayRef({plan_.parameters}))
    refuse(checkpoint_, "its parameters are of another type or number",
           fmt::format("{} numbers", plan_.parameters));
  std::string begun(header_.size(), '\0');
  struct stat about {};
  const bool whole =
      ::fstat(file_, &about) == 0 && static_cast<uint64_t>(about.st_size) == size_ &&
      ::pread(file_, begun.data(), begun.size(), 0) == static_cast<ssize_t>(begun.size());
  if (!whole || begun != header_)
    refuse(partial_, "it was begun with other data or options, or is damaged",
           "the file that the same command began");
  return reached;
}

void GrowingTrajectory::write(int64_t epoch, const at::Tensor& theta, double loss) {
  TORCH_CHECK(epoch >= 0 && epoch <= plan_.epochs && theta.numel() == plan_.parameters, "snapshot ",
              epoch, " of ", theta.numel(), " numbers");
  const at::Tensor row = theta.detach().to(at::kCPU, scalar_type_of(plan_.dtype)).contiguous();
  if (plan_.dtype == DType::kF16 && !row.isfinite().all().item<bool>())
    throw StateError(
        Report{"writing '" + partial_.string() + "'",
               fmt::format("snapshot {} holds a number that float16 cannot hold", epoch),
               {},
               "train with --snapshots float32 in another folder"});
  const uint64_t losses = header_.size() + sizeof(double);  // after the accuracy
  const uint64_t rows = losses + static_cast<uint64_t>(plan_.epochs) * sizeof(double);
  if (epoch > 0) put(&loss, sizeof loss, losses + static_cast<uint64_t>(epoch - 1) * sizeof loss);
  put(row.data_ptr(), row.nbytes(), rows + static_cast<uint64_t>(epoch) * row_bytes(plan_));
}

void GrowingTrajectory::checkpoint(int64_t epoch, const at::Tensor& theta) {
  if (::fdatasync(file_) != 0) throw ResourceError::io("writing '" + partial_.string() + "'");
  save_tensors(checkpoint_, {{"theta", theta}},
               {{"format", kCheckpointFormat}, {"epoch", std::to_string(epoch)}});
}

void GrowingTrajectory::finish(double accuracy) {
  const auto path = trajectory_path(plan_.folder, plan_.expert);
  put(&accuracy, sizeof accuracy, header_.size());
  if (::fsync(file_) != 0 || ::rename(partial_.c_str(), path.c_str()) != 0)
    throw ResourceError::io("writing '" + path.string() + "'");
  sync_folder(plan_.folder);
  std::error_code ignored;  // a file that stays does no harm: it is removed at the next start
  std::filesystem::remove(checkpoint_, ignored);
}

}  // namespace retort::train
