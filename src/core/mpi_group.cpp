// Everything crosses in one form: each process gives a status and its bytes. First all statuses go
// round, and only where none is a failure the bytes do, so that nobody waits for a process that
// cannot go on.
#include "core/mpi_group.h"

#include <fmt/format.h>

#include "core/sizes.h"

#if RETORT_WITH_MPI
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "retort/core/device.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(5);  // of one that failed, for the others
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

class MpiGroup : public ProcessGroup {
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

  std::vector<std::string> gather(const std::string& bytes) const override {
    const std::vector<Header> headers = *meet({0, std::ssize(bytes)}, Clock::time_point::max());
    std::vector<std::string> all = exchange(headers, bytes);
    if (failed(headers)) throw PeerError(verdict(headers, all));
    return all;
  }

  Failure fail(const Failure& failure) const override {
    const auto headers =
        meet({failure.code, std::ssize(failure.message)}, Clock::now() + kPatience);
    if (headers) return verdict(*headers, exchange(*headers, failure.message));
    return {failure.code, named(rank_, failure.message), true};
  }

  [[noreturn]] void abort(int code) const override {
    MPI_Abort(MPI_COMM_WORLD, code);
    ProcessGroup::abort(code);
  }

 private:
  /// What a process says before its bytes: its exit code where it failed, and their number.
  struct Header {
    int64_t status, size;
  };

  static bool failed(const std::vector<Header>& headers) {
    return std::ranges::any_of(headers, [](const Header& one) { return one.status != 0; });
  }

  std::string named(int64_t rank, const std::string& message) const {
    return fmt::format("process {} of {}: {}", rank, size_, message);
  }

  /// The first of those that failed speaks for all; another one is named where some went on.
  Failure verdict(const std::vector<Header>& headers, const std::vector<std::string>& said) const {
    const auto bad = [](const Header& one) { return one.status != 0; };
    const auto who = to_size(std::ranges::find_if(headers, bad) - headers.begin());
    // The first is often alone because the others wait for what it reads.
    const bool plain = who == 0 || std::ranges::all_of(headers, bad);
    return {static_cast<int>(headers[who].status),
            plain ? said[who] : named(static_cast<int64_t>(who), said[who])};
  }

  /// Everyone's header, when all are there; nothing after `last`. Waits without keeping a processor
  /// busy: others compute on it.
  std::optional<std::vector<Header>> meet(const Header& mine, Clock::time_point last) const {
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

  /// All are there: their bytes.
  std::vector<std::string> exchange(const std::vector<Header>& headers,
                                    const std::string& mine) const {
    std::vector<std::string> all(headers.size());
    int64_t most = 0;
    for (size_t r = 0; r < headers.size(); ++r) {
      all[r].reserve(to_size(headers[r].size));
      most = std::max(most, headers[r].size);
    }
    const int64_t piece = std::max<int64_t>(1, kPiece / size_);
    for (int64_t begin = 0; begin < most; begin += piece) {
      std::vector<int> counts, places;
      int total = 0;
      for (const Header& one : headers) {
        counts.push_back(static_cast<int>(std::clamp<int64_t>(one.size - begin, 0, piece)));
        places.push_back(total);
        total += counts.back();
      }
      std::string buffer(to_size(total), '\0');
      MPI_Allgatherv(mine.data() + std::min(begin, std::ssize(mine)), counts[to_size(rank_)],
                     MPI_BYTE, buffer.data(), counts.data(), places.data(), MPI_BYTE,
                     MPI_COMM_WORLD);
      for (size_t r = 0; r < all.size(); ++r)
        all[r].append(buffer, to_size(places[r]), to_size(counts[r]));
    }
    return all;
  }

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
