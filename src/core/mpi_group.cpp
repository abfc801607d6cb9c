// The bytes of a group by MPI.
#include "core/mpi_group.h"

#include <fmt/format.h>

#include "core/sizes.h"

#if RETORT_WITH_MPI
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <sched.h>
#include <time.h>

#include <algorithm>

#include "core/meeting_group.h"
#include "retort/core/device.h"

namespace retort {
namespace {

constexpr int64_t kPiece = int64_t{1} << 30;  // bytes of one call of MPI, which counts in int

/// The part of this machine's processors that is ours, where several processes may run on each.
int share_of_processors(MPI_Comm node) {
  int processes = 1;
  MPI_Comm_size(node, &processes);
  cpu_set_t mine;
  CPU_ZERO(&mine);
  sched_getaffinity(0, sizeof mine, &mine);
  std::vector<cpu_set_t> all(to_size(processes));
  MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, node);
  double share = 0;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mine)) continue;
    const auto users =
        std::ranges::count_if(all, [cpu](const cpu_set_t& set) { return CPU_ISSET(cpu, &set); });
    share += 1.0 / static_cast<double>(users);
  }
  constexpr double kRounding = 1e-6;
  int count = static_cast<int>(share + kRounding);
  const int allowed = available_threads();  // fewer where a control group says so, for all together
  if (allowed < CPU_COUNT(&mine)) count = std::min(count, allowed / processes);
  return std::max(count, 1);
}

class MpiGroup : public MeetingGroup {
 public:
  MpiGroup() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm node = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &local_rank_);
    processors_ = share_of_processors(node);
    MPI_Comm_free(&node);
  }
  ~MpiGroup() override { MPI_Finalize(); }

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  int64_t local_rank() const override { return local_rank_; }
  int processors() const override { return processors_; }

  [[noreturn]] void abort(int code) const override {
    MPI_Abort(MPI_COMM_WORLD, code);
    ProcessGroup::abort(code);
  }

 protected:
  /// Waits without keeping a processor busy: others compute on it.
  std::optional<std::vector<Header>> meet(const Header& mine,
                                          Clock::time_point last) const override {
    std::vector<Header> all(to_size(size_));
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Iallgather(&mine, 2, MPI_INT64_T, all.data(), 2, MPI_INT64_T, MPI_COMM_WORLD, &request);
    constexpr int kBusy = 1000;  // looks without a pause: others are often there at once
    for (int64_t looks = 0;; ++looks) {
      int done = 0;
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done != 0) return all;
      if (Clock::now() > last) return {};
      const timespec pause{0, looks < kBusy ? 0 : 100'000};
      if (looks < kBusy)
        sched_yield();
      else
        nanosleep(&pause, nullptr);
    }
  }

  std::vector<std::string> exchange(const std::vector<Header>& headers,
                                    const std::string& mine) const override {
    std::vector<int64_t> sizes;
    for (const Header& one : headers) sizes.push_back(one.size);
    const int64_t most = *std::ranges::max_element(sizes);
    std::vector<std::string> all(sizes.size());
    for (size_t r = 0; r < all.size(); ++r) all[r].reserve(to_size(sizes[r]));
    const int64_t piece = std::max<int64_t>(1, kPiece / size_);
    for (int64_t begin = 0; begin < most; begin += piece) {
      const Row row = Row::of(sizes, begin, piece);
      std::string buffer(to_size(row.total), '\0');
      MPI_Allgatherv(mine.data() + std::min(begin, std::ssize(mine)), row.counts[to_size(rank_)],
                     MPI_BYTE, buffer.data(), row.counts.data(), row.places.data(), MPI_BYTE,
                     MPI_COMM_WORLD);
      for (size_t r = 0; r < all.size(); ++r)
        all[r].append(buffer, to_size(row.places[r]), to_size(row.counts[r]));
    }
    return all;
  }

  std::vector<std::string> exchange_parts(const std::vector<std::string>& parts,
                                          int64_t most) const override {
    std::vector<int64_t> out, in(parts.size());
    for (const std::string& part : parts) out.push_back(std::ssize(part));
    MPI_Alltoall(out.data(), 1, MPI_INT64_T, in.data(), 1, MPI_INT64_T, MPI_COMM_WORLD);
    std::vector<std::string> all(parts.size());
    const int64_t piece = std::max<int64_t>(1, kPiece / size_);
    for (int64_t begin = 0; begin < most; begin += piece) {
      const Row sent = Row::of(out, begin, piece), got = Row::of(in, begin, piece);
      std::string mine, buffer(to_size(got.total), '\0');
      for (size_t r = 0; r < parts.size(); ++r)
        if (sent.counts[r] > 0) mine.append(parts[r], to_size(begin), to_size(sent.counts[r]));
      MPI_Alltoallv(mine.data(), sent.counts.data(), sent.places.data(), MPI_BYTE, buffer.data(),
                    got.counts.data(), got.places.data(), MPI_BYTE, MPI_COMM_WORLD);
      for (size_t r = 0; r < all.size(); ++r)
        all[r].append(buffer, to_size(got.places[r]), to_size(got.counts[r]));
    }
    return all;
  }

 private:
  /// Where the bytes of all processes lie, one after the other, in one call of MPI.
  struct Row {
    std::vector<int> counts, places;
    int total = 0;
    /// Of `sizes` in all, `piece` bytes of each from `begin` on.
    static Row of(const std::vector<int64_t>& sizes, int64_t begin, int64_t piece) {
      Row row;
      for (const int64_t size : sizes) {
        row.counts.push_back(static_cast<int>(std::clamp<int64_t>(size - begin, 0, piece)));
        row.places.push_back(row.total);
        row.total += row.counts.back();
      }
      return row;
    }
  };

  int rank_ = 0, size_ = 1, local_rank_ = 0, processors_ = 0;
};

}  // namespace

bool has_mpi() {
  return true;
}

std::string mpi_detail() {
  return fmt::format("Open MPI {}.{}.{}: several processes by mpirun or srun", OMPI_MAJOR_VERSION,
                     OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION);
}

std::unique_ptr<ProcessGroup> join_mpi() {
  return std::make_unique<MpiGroup>();
}

}  // namespace retort
#else
namespace retort {

bool has_mpi() {
  return false;
}

std::string mpi_detail() {
  return "install libopenmpi-dev and openmpi-bin, and build again, for several processes by mpirun";
}

std::unique_ptr<ProcessGroup> join_mpi() {
  throw ResourceError(
      ErrorMessage{"starting as one of several processes", "this build has no MPI",
                   "one process, without mpirun or srun",
                   "install libopenmpi-dev and openmpi-bin and build again; or give each process "
                   "its part with --shard"});
}

}  // namespace retort
#endif
