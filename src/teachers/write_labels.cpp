// Making a file of labels: batch after batch at the end of a partial file, and the hash of each in
// a table before them. A later start cuts it back to whole batches and goes on with it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <span>

#include "core/note.h"
#include "core/sizes.h"
#include "io/content_hash.h"
#include "retort/core/error.h"
#include "teachers/label_file.h"

namespace retort::teachers {
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
    throw StateError(ErrorMessage{"writing '" + path_.string() + "'",
                                  "another process is writing it",
                                  {},
                                  "wait for it, or choose another --out"});
  }
  Growing(const Growing&) = delete;
  Growing& operator=(const Growing&) = delete;
  ~Growing() { ::close(file_); }

  /// `size` bytes at `offset`, or fewer at the end.
  std::string read(int64_t size, int64_t offset) const {
    std::string bytes(to_size(size), '\0');
    const ssize_t got = ::pread(file_, bytes.data(), bytes.size(), offset);
    bytes.resize(to_size(std::max<ssize_t>(got, 0)));
    return bytes;
  }
  int64_t size() const { return ::lseek(file_, 0, SEEK_END); }
  void cut(int64_t size) {
    if (::ftruncate(file_, size) != 0) throw failed();
  }
  void put(std::string_view bytes, int64_t offset) {
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t written = ::pwrite(file_, bytes.data() + done, bytes.size() - done,
                                       offset + static_cast<int64_t>(done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw failed();
      done += to_size(written);
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

/// What is under way: the file, where its parts begin, the hashes so far.
struct Writing {
  Growing& file;
  const LabelPlan& plan;
  const std::vector<int64_t>& offsets;
  std::string header = label_header(plan);
  int64_t start = label_start(plan);
  std::vector<int64_t> hashes = std::vector<int64_t>(offsets.size() - 1);

  int64_t begin(int64_t block) const { return start + offsets[to_size(block)] * plan.row_bytes(); }
  int64_t place_of_hash(int64_t block) const {
    return std::ssize(header) + block * static_cast<int64_t>(sizeof(int64_t));
  }
  void add(int64_t block, const std::string& rows) {
    int64_t& hash = hashes[to_size(block)] = piece_hash(rows.data(), rows.size());
    file.put({reinterpret_cast<const char*>(&hash), sizeof hash}, place_of_hash(block));
    file.put(rows, begin(block));
  }
  void finish(const std::filesystem::path& path) {
    auto tensors = label_tensors(plan);
    tensors[piece_hashes("logits")].bytes = std::as_bytes(std::span(hashes));
    file.put(sealed_header(header, tensors), 0);
    file.finish(path);
  }
  /// Whether a block is there as it was written; its hash is then taken over.
  bool whole(int64_t block) {
    const std::string rows = file.read(begin(block + 1) - begin(block), begin(block));
    const int64_t hash = piece_hash(rows.data(), rows.size());
    const std::string written = file.read(sizeof hash, place_of_hash(block));
    hashes[to_size(block)] = hash;
    return written == std::string_view(reinterpret_cast<const char*>(&hash), sizeof hash);
  }
};

/// The batches that an earlier start has written whole; the rest is cut off.
int64_t reached(Writing& writing, ProgressStyle style, const std::filesystem::path& path) {
  Growing& file = writing.file;
  const std::string there = file.read(std::ssize(writing.header), 0);
  if (file.size() < writing.start &&
      unsealed_header(there) == writing.header.substr(0, there.size())) {
    file.cut(0);
    file.put(writing.header, 0);
    file.cut(writing.start);
    return 0;
  }
  if (unsealed_header(there) != writing.header)
    throw StateError(
        ErrorMessage{"going on with '" + path.string() + ".partial'",
                     "it was begun with other images, another teacher or other options, or "
                     "its header is damaged",
                     {},
                     "give the same, or remove it to begin anew"});
  const int64_t rows = (file.size() - writing.start) / writing.plan.row_bytes();
  const auto next = std::upper_bound(writing.offsets.begin(), writing.offsets.end(), rows);
  const int64_t all = next - writing.offsets.begin() - 1;
  int64_t blocks = 0;
  while (blocks < all && writing.whole(blocks)) ++blocks;
  // A kill leaves at most the last batch half written.
  if (blocks + 1 < all)
    say_note(style, fmt::format("'{}.partial' is damaged: its labels are made anew from batch {} "
                                "of {} on",
                                path.string(), blocks, all));
  file.cut(writing.begin(blocks));
  return blocks;
}

std::string labels_of(const LabelPlan& plan, const train::Views& views,
                      const LoadedTeacher& teacher, int64_t place) {
  const at::Tensor images = views.get(place / plan.batches(), place % plan.batches()).images;
  return pack_labels(plan, teacher.logits(images, plan.batch_statistics));
}

}  // namespace

bool write_labels(const std::filesystem::path& path, const LabelPlan& plan,
                  const train::Views& views, const LoadedTeacher& teacher, ProgressStyle style,
                  const StopFlag* stop, const ProcessGroup& group) {
  check_plan(plan);
  const std::vector<int64_t> kept = plan.kept(), offsets = row_offsets(plan, kept);
  const auto all = std::ssize(kept);
  std::optional<Growing> file;
  std::optional<Writing> writing;
  if (group.first()) {
    file.emplace(path.string() + ".partial");
    writing.emplace(Writing{*file, plan, offsets});
  }
  int64_t done = group.agree(writing ? reached(*writing, style, path) : 0);
  Progress progress(style, "labels", all, done);
  while (done < all) {
    if (group.any(stop && stop->requested())) return false;
    // A batch of each process: whole batches alone have the same bytes on any number of them.
    const int64_t mine = done + group.rank();
    const auto made = group.gather(mine < all ? labels_of(plan, views, teacher, kept[to_size(mine)])
                                              : std::string());
    for (const std::string& rows : made) {
      if (rows.empty()) continue;
      if (writing) writing->add(done, rows);
      progress.update(++done);
    }
  }
  if (writing) writing->finish(path);
  group.barrier();
  return true;
}

}  // namespace retort::teachers
