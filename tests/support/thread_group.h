// Several processes of a job as threads of one, of which one works at a time: that a run of a part
// by itself is another program is none of what is tested with it.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/meeting_group.h"
#include "core/sizes.h"

namespace retort::tests {

/// Where the threads meet.
class Table {
 public:
  explicit Table(int64_t size) : seats_(to_size(size)) {}
  int64_t size() const { return std::ssize(seats_); }

  using Clock = std::chrono::steady_clock;

  /// Lays `mine` down and returns what all have laid down, when all have, or nothing after `last`;
  /// others work meanwhile.
  template <class Thing>
  std::optional<std::vector<Thing>> meet(int64_t rank, const Thing& mine,
                                         Clock::time_point last = Clock::time_point::max()) {
    std::unique_lock lock(mutex_);
    seats_[to_size(rank)] = &mine;
    std::vector<Thing> all;
    if (!wait(lock, last)) return {};
    for (const void* seat : seats_) all.push_back(*static_cast<const Thing*>(seat));
    wait(lock, Clock::time_point::max());  // nobody leaves with what others still read
    return all;
  }
  std::mutex& working() { return working_; }

 private:
  bool wait(std::unique_lock<std::mutex>& lock, Clock::time_point last) {
    const int64_t round = round_;
    working_.unlock();
    if (++there_ == size()) {
      there_ = 0;
      ++round_;
      all_.notify_all();
    }
    const auto over = [&] { return round_ != round; };
    bool met = true;
    if (last == Clock::time_point::max())
      all_.wait(lock, over);
    else
      met = all_.wait_until(lock, last, over);
    lock.unlock();
    working_.lock();
    lock.lock();
    return met;
  }

  std::vector<const void*> seats_;
  std::mutex mutex_, working_;
  std::condition_variable all_;
  int64_t there_ = 0, round_ = 0;
};

class ThreadGroup : public MeetingGroup {
 public:
  ThreadGroup(Table& table, int64_t rank) : table_(table), rank_(rank) {}
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return table_.size(); }
  /// The largest number of bytes that this one gave in one call.
  int64_t most() const { return most_; }

 protected:
  std::optional<std::vector<Header>> meet(const Header& mine,
                                          Clock::time_point last) const override {
    return table_.meet(rank_, mine, last);
  }
  std::vector<std::string> exchange(const std::vector<Header>&,
                                    const std::string& mine) const override {
    most_ = std::max(most_, std::ssize(mine));
    return *table_.meet(rank_, mine);
  }
  std::vector<std::string> exchange_parts(const std::vector<std::string>& parts,
                                          int64_t) const override {
    std::vector<std::string> mine;
    const auto dealt = table_.meet(rank_, parts);
    for (const std::vector<std::string>& from : *dealt) mine.push_back(from[to_size(rank_)]);
    return mine;
  }

 private:
  Table& table_;
  const int64_t rank_;
  mutable int64_t most_ = 0;
};

/// Does `work` in as many threads; the largest number of bytes that one gave in one call. What one
/// throws is thrown here.
inline int64_t in_threads(int64_t count, const std::function<void(const ProcessGroup&)>& work) {
  Table table(count);
  std::vector<int64_t> most(to_size(count));
  std::vector<std::exception_ptr> thrown(to_size(count));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      const ThreadGroup group(table, rank);
      const std::lock_guard working(table.working());
      try {
        work(group);
      } catch (const PeerError&) {  // another's
      } catch (const std::exception& error) {
        thrown[to_size(rank)] = std::current_exception();
        group.fail({1, error.what()});
      }
      most[to_size(rank)] = group.most();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& one : thrown)
    if (one) std::rethrow_exception(one);
  return *std::ranges::max_element(most);
}

}  // namespace retort::tests
