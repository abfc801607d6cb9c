#include "process_group.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>

#include "core/sizes.h"
#include "retort/core/device.h"

namespace retort::python {
namespace {

at::Tensor tensor_of(const std::string& bytes) {
  const at::Tensor tensor = at::empty({std::ssize(bytes)}, at::kByte);
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

std::vector<std::string> strings_of(const std::vector<at::Tensor>& tensors) {
  std::vector<std::string> all;
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor bytes = tensor.contiguous();
    all.emplace_back(static_cast<const char*>(bytes.data_ptr()), bytes.nbytes());
  }
  return all;
}

}  // namespace

PythonGroup::PythonGroup(py::object driver) : driver_(std::move(driver)) {
  const auto number = [&](const char* name) { return driver_->attr(name).cast<int64_t>(); };
  rank_ = number("rank");
  size_ = number("size");
  local_rank_ = number("local_rank");
  processors_ = std::max(1, available_threads() / static_cast<int>(number("local_size")));
}

template <class Answer, class... Words>
Answer PythonGroup::ask(const char* function, const Words&... words) const {
  const py::gil_scoped_acquire held;
  try {
    return driver_->attr(function)(words...).template cast<Answer>();
  } catch (const py::error_already_set& error) {
    throw PeerError(
        {4, fmt::format("process {} of {} has lost the others: {}", rank_, size_, error.what())});
  }
}

std::optional<std::vector<MeetingGroup::Header>> PythonGroup::meet(const Header& mine,
                                                                   Clock::time_point last) const {
  std::optional<double> seconds;
  if (last != Clock::time_point::max())
    seconds = std::chrono::duration<double>(last - Clock::now()).count();
  const auto all = ask<std::optional<std::vector<std::pair<int64_t, int64_t>>>>("meet", mine.status,
                                                                                mine.size, seconds);
  if (!all) return {};
  std::vector<Header> headers;
  for (const auto& [status, bytes] : *all) headers.push_back({status, bytes});
  return headers;
}

std::vector<std::string> PythonGroup::exchange(const std::vector<Header>& headers,
                                               const std::string& mine) const {
  std::vector<int64_t> sizes;
  for (const Header& one : headers) sizes.push_back(one.size);
  if (std::ranges::all_of(sizes, [](int64_t bytes) { return bytes == 0; }))
    return std::vector<std::string>(sizes.size());
  return strings_of(ask<std::vector<at::Tensor>>("exchange", tensor_of(mine), sizes));
}

std::vector<std::string> PythonGroup::exchange_parts(const std::vector<std::string>& parts,
                                                     int64_t) const {
  std::vector<at::Tensor> mine;
  for (const std::string& part : parts) mine.push_back(tensor_of(part));
  return strings_of(ask<std::vector<at::Tensor>>("exchange_parts", mine));
}

}  // namespace retort::python
