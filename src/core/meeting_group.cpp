#include "core/meeting_group.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/sizes.h"

namespace retort {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);  // of one that failed, for the others

}  // namespace

std::string MeetingGroup::named(int64_t rank, const std::string& message) const {
  return fmt::format("process {} of {}: {}", rank, size(), message);
}

/// The first of those that failed speaks for all; another one is named where some went on.
Failure MeetingGroup::verdict(const std::vector<Header>& headers,
                              const std::vector<std::string>& said) const {
  const auto bad = [](const Header& one) { return one.status != 0; };
  const auto who = to_size(std::ranges::find_if(headers, bad) - headers.begin());
  // The first is often alone because the others wait for what it reads.
  const bool plain = who == 0 || std::ranges::all_of(headers, bad);
  return {static_cast<int>(headers[who].status),
          plain ? said[who] : named(static_cast<int64_t>(who), said[who])};
}

std::vector<std::string> MeetingGroup::gather(const std::string& bytes) const {
  const std::vector<Header> headers = *meet({0, std::ssize(bytes)}, Clock::time_point::max());
  std::vector<std::string> all = exchange(headers, bytes);
  if (std::ranges::any_of(headers, [](const Header& one) { return one.status != 0; }))
    throw PeerError(verdict(headers, all));
  return all;
}

std::vector<std::string> MeetingGroup::deal(const std::vector<std::string>& parts) const {
  int64_t most = 0;
  for (const std::string& part : parts) most = std::max(most, std::ssize(part));
  std::vector<int64_t> sizes;
  for (const std::string& one : gather(std::to_string(most))) sizes.push_back(std::stoll(one));
  return exchange_parts(parts, *std::ranges::max_element(sizes));
}

Failure MeetingGroup::fail(const Failure& failure) const {
  const auto headers = meet({failure.code, std::ssize(failure.message)}, Clock::now() + kPatience);
  if (headers) return verdict(*headers, exchange(*headers, failure.message));
  return {failure.code, named(rank(), failure.message), true};
}

}  // namespace retort
