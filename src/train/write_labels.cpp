// Making a file of labels: batch after batch at the end of a partial file, which a later start cuts
// back to whole batches and goes on with.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "retort/core/error.h"
#include "train/label_file.h"

namespace retort::train {
namespace {

/// An open, locked file that grows.
class Growing {
 public:
  explicit Growing(std::filesystem::path path) : path_(std::move(path)) {
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path());
    file_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (file_ < 0) throw failed();
    if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
    ::close(file_);
    throw StateError(Report{"writing '" + path_.string() + "'",
                            "another process is writing it",
                            {},
                            "wait for it, or choose another --out"});
  }
  Growing(const Growing&) = delete;
  Growing& operator=(const Growing&) = delete;
  ~Growing() { ::close(file_); }

  std::string begin(size_t size) const {
    std::string bytes(size, '\0');
    const ssize_t got = ::pread(file_, bytes.data(), size, 0);
    bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return bytes;
  }
  int64_t size() const { return ::lseek(file_, 0, SEEK_END); }
  void cut(int64_t size) {
    if (::ftruncate(file_, size) != 0) throw failed();
  }
  void append(const std::string& bytes) {
    ::lseek(file_, 0, SEEK_END);
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t written = ::write(file_, bytes.data() + done, bytes.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw failed();
      done += static_cast<size_t>(written);
    }
  }
  void finish(const std::filesystem::path& path) {
    if (::fsync(file_) != 0) throw failed();
    std::filesystem::rename(path_, path);
    sync_folder(path.has_parent_path() ? path.parent_path() : ".");
  }

 private:
  ResourceError failed() const { return ResourceError::io("writing '" + path_.string() + "'"); }
  std::filesystem::path path_;
  int file_ = -1;
};

/// The batches that an earlier start has written whole; the rest is cut off.
int64_t reached(Growing& file, const LabelPlan& plan, const std::vector<int64_t>& offsets,
                const std::filesystem::path& path) {
  const std::string header = label_header(plan);
  const auto head = static_cast<int64_t>(header.size());
  const std::string there = file.begin(header.size());
  if (there != header.substr(0, there.size()))
    throw StateError(Report{"going on with '" + path.string() + ".partial'",
                            "it was begun with other images, another teacher or other options",
                            {},
                            "give the same, or remove it to begin anew"});
  if (file.size() < head) {
    file.cut(0);
    file.append(header);
    return 0;
  }
  const int64_t rows = (file.size() - head) / plan.row_bytes();
  const auto next = std::upper_bound(offsets.begin(), offsets.end(), rows);
  const int64_t blocks = next - offsets.begin() - 1;
  file.cut(head + offsets[static_cast<size_t>(blocks)] * plan.row_bytes());
  return blocks;
}

}  // namespace

bool write_labels(const std::filesystem::path& path, const LabelPlan& plan, const Views& views,
                  const ReadyTeacher& teacher, ProgressStyle style, const StopFlag* stop) {
  check_plan(plan);
  const std::vector<int64_t> kept = plan.kept(), offsets = row_offsets(plan, kept);
  const auto all = static_cast<int64_t>(kept.size());
  Growing file(path.string() + ".partial");
  int64_t done = reached(file, plan, offsets, path);
  Progress progress(style, "labels", all, done);
  while (done < all) {
    if (stop && stop->requested()) return false;
    const int64_t place = kept[static_cast<size_t>(done)];
    const at::Tensor images = views.get(place / plan.batches(), place % plan.batches()).images;
    file.append(pack_labels(plan, teacher.logits(images, plan.batch_statistics)));
    progress.update(++done);
  }
  file.finish(path);
  return true;
}

}  // namespace retort::train
