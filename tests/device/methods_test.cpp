// Every method on the device beside the same on the CPU. Where there is no other device, the ghost
// device takes its place. Resuming and equal bytes are asked of the device by the conformance
// suite, under RETORT_TEST_DEVICE.
#include <gtest/gtest.h>

#include "core/registry.h"
#include "methods/toy_run.h"
#include "support/device.h"
#include "support/host_work.h"
#include "support/support.h"

namespace retort::methods {
namespace {

using tests::TempFolder;
using tests::ToyRun;

/// What is written to the error output while it lives: libtorch warns there of what may give other
/// bytes the next time.
class Warnings {
 public:
  Warnings() { testing::internal::CaptureStderr(); }
  ~Warnings() { take(); }
  std::string take() {
    if (open_) text_ = testing::internal::GetCapturedStderr();
    open_ = false;
    return text_;
  }

 private:
  bool open_ = true;
  std::string text_;
};

at::Tensor images_of(const MethodEntry& entry, const std::string& parametrisation,
                     at::Device device) {
  const TempFolder folder;
  ToyRun toy(entry, 2, parametrisation);
  toy.device = device;
  return toy.run(folder / "run").bundle.images;
}

void expect_agreement(const std::string& method, const std::string& parametrisation) {
  const MethodEntry& entry = find_entry(std::span(method_table()), "method", method);
  const at::Tensor cpu = images_of(entry, parametrisation, at::kCPU);
  Warnings warnings;
  const at::Tensor other = images_of(entry, parametrisation, tests::other_device());
  EXPECT_EQ(warnings.take().find("deterministic"), std::string::npos) << warnings.take();
  EXPECT_LT((cpu - other).abs().max().item<double>(), 1e-3 * cpu.abs().max().item<double>());
}

class DeviceMethod : public testing::TestWithParam<std::string> {};

TEST_P(DeviceMethod, TwoIterationsAgreeWithTheCpu) {
  expect_agreement(GetParam(), "pixels");
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const MethodEntry& entry : method_table()) names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, DeviceMethod, testing::ValuesIn(method_names()),
                         [](const auto& one) { return one.param; });

class DeviceParametrisation : public testing::TestWithParam<std::string> {};

TEST_P(DeviceParametrisation, TwoIterationsAgreeWithTheCpu) {
  expect_agreement("dm", GetParam());
}

std::vector<std::string> parametrisation_names() {
  std::vector<std::string> names;
  for (const auto& entry : synthetic::parametrisation_table()) names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, DeviceParametrisation, testing::ValuesIn(parametrisation_names()),
                         [](const auto& one) { return one.param; });

/// What one iteration asks of the host: the counts of two iterations less those of one.
tests::HostWork::Counts host_work(const std::string& method, at::Device device) {
  const MethodEntry& entry = find_entry(std::span(method_table()), "method", method);
  tests::HostWork::Counts counts[2];
  for (const int64_t iterations : {1, 2}) {
    const TempFolder folder;
    ToyRun toy(entry, iterations);
    toy.device = device;
    toy.options.record_every = toy.options.checkpoint_every = 100;
    const tests::HostWork work;
    toy.run(folder / "run");
    counts[iterations - 1] = work.counts();
  }
  return {counts[1].reads - counts[0].reads, counts[1].to_host - counts[0].to_host,
          counts[1].to_device - counts[0].to_device, counts[1].sizes - counts[0].sizes,
          counts[1].operations - counts[0].operations};
}

TEST(HostWork, OfOneIterationIsCounted) {
  for (const char* method : {"dm", "dsa", "mtt"}) {
    const auto found = host_work(method, tests::other_device());
    std::printf("%-4s reads %lld, to the host %lld, to the device %lld, sizes %lld, all %lld\n",
                method, static_cast<long long>(found.reads), static_cast<long long>(found.to_host),
                static_cast<long long>(found.to_device), static_cast<long long>(found.sizes),
                static_cast<long long>(found.operations));
    EXPECT_EQ(found.to_host, 0) << method;
    EXPECT_EQ(found.sizes, 0) << method;
  }
}

}  // namespace
}  // namespace retort::methods
