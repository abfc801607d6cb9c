// What mpirun starts in tests: the command lines of a file, one after the other, in one job.
// Starting libtorch costs a second a process, so that many short commands share one start.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>

#include "cli/launch.h"
#include "cli/program.h"
#include "retort/core/device.h"
#include "retort/core/share.h"

namespace {

using retort::ProcessGroup;
using retort::Share;

void require(bool fact, const char* what) {
  if (!fact) throw std::runtime_error(what);
}

/// What a group promises, for any number of items.
void check_calls(const ProcessGroup& group) {
  const auto rank = group.rank();
  require(group.broadcast("of " + std::to_string(rank)) == "of 0", "broadcast");
  require(group.agree(rank + 7) == 7, "agree");
  require(group.any(rank == group.size() - 1) && !group.any(false), "any");
  const at::Tensor like = at::zeros({2, 3});
  for (const int64_t total : {0, 1, 3, 7}) {
    std::vector<at::Tensor> mine;
    at::Tensor sum = at::zeros({2, 3});
    for (const int64_t i : Share().within(group).items(total))
      mine.push_back(at::full({2, 3}, 1.0 / static_cast<double>(i + 3)));
    const std::vector<at::Tensor> all = group.gather(mine, like);
    require(static_cast<int64_t>(all.size()) == total, "as many items as there are");
    for (int64_t i = 0; i < total; ++i)
      sum = i == 0 ? at::full({2, 3}, 1.0 / 3)
                   : sum + at::full({2, 3}, 1.0 / static_cast<double>(i + 3));
    require(group.all_reduce(mine, like).equal(sum), "the sum in order of the items");
    at::Tensor rows = at::full({total, 2}, -1.0);
    const std::vector<int64_t> own = Share().within(group).items(total);
    for (const int64_t row : own) rows[row].fill_(row);
    group.gather_rows(rows, own);
    for (int64_t row = 0; row < total; ++row) require(rows[row].eq(row).all().item<bool>(), "rows");
  }
  require(group.local_rank() == rank, "the rank on this machine");
  const int64_t part = std::max<int64_t>(1, retort::available_threads() / group.size());
  require(group.processors() == (group.size() == 1 ? 0 : part), "a part of the processors");
  std::vector<std::string> parts;
  for (int64_t r = 0; r < group.size(); ++r)
    parts.emplace_back(static_cast<size_t>(r * 1000), static_cast<char>('a' + rank));
  const std::vector<std::string> dealt = group.deal(parts);
  for (int64_t r = 0; r < group.size(); ++r)
    require(dealt[static_cast<size_t>(r)] ==
                std::string(static_cast<size_t>(rank * 1000), static_cast<char>('a' + r)),
            "what is dealt");
  const std::string large(3'000'000, static_cast<char>('a' + rank));
  require(group.gather(large).back() ==
              std::string(3'000'000, static_cast<char>('a' + group.size() - 1)),
          "large messages");
}

/// The last process fails, the others are told by their next call.
void check_failure(const ProcessGroup& group) {
  const int64_t last = group.size() - 1;
  const std::string expected = "process " + std::to_string(last) + " of " +
                               std::to_string(group.size()) + ": its disk is full";
  if (group.rank() == last) {
    require(group.fail({4, "its disk is full"}).message == expected || group.size() == 1, "fail");
    return;
  }
  try {
    group.barrier();
  } catch (const retort::PeerError& error) {
    require(error.exit_code() == 4 && error.what() == expected, error.what());
    return;
  }
  throw std::runtime_error("a failure was not told");
}

/// Medians of a call, for docs/scale.md: of a few bytes, and of as many that they fill the network.
void time_calls(const ProcessGroup& group) {
  constexpr int kRounds = 201;
  for (const int64_t each : {int64_t{8}, int64_t{8'000'000} / group.size()}) {
    const std::string bytes(static_cast<size_t>(each), 'a');
    std::vector<double> seconds;
    for (int round = 0; round < kRounds; ++round) {
      group.barrier();
      const auto begin = std::chrono::steady_clock::now();
      group.gather(bytes);
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    std::nth_element(seconds.begin(), seconds.begin() + kRounds / 2, seconds.end());
    if (group.first())
      std::cout << group.size() << " processes, " << each
                << " bytes each: " << seconds[kRounds / 2] * 1e6 << " us\n";
  }
}

int run_lines(const char* path, const ProcessGroup& group) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream text(line);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    std::ostringstream out, err;
    const int code = retort::cli::run(words, out, err, group);
    if (code == 0) continue;
    std::cerr << "process " << group.rank() << ", " << line << "\n" << err.str();
    return code;
  }
  return 0;
}

}  // namespace

int main(int, char** argv) {
  const auto group = retort::cli::join(retort::cli::launch_of_environment());
  try {
    if (std::string(argv[1]) == "time") {
      time_calls(*group);
      return 0;
    }
    if (std::string(argv[1]) != "calls") return run_lines(argv[1], *group);
    check_calls(*group);
    check_failure(*group);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "process " << group->rank() << ": " << error.what() << "\n";
    group->abort(1);
  }
}
