// Experts: what their files hold, stopping and going on, sharing a folder, imported buffers.
#include "retort/trajectories/experts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <sstream>
#include <thread>

#include "io/checkpoint.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "synthetic/support.h"
#include "trajectories/small_experts.h"
#include "trajectories/trajectory_file.h"

namespace retort::trajectories {
namespace {

using retort::tests::expect_error;
using retort::tests::read_text;
using retort::tests::TempFolder;
using retort::tests::write_text;
using tests::Small;

constexpr int kExperts = 3;

void expect_same_experts(const std::filesystem::path& a, const std::filesystem::path& b) {
  for (int k = 0; k < kExperts; ++k)
    EXPECT_TRUE(read_text(trajectory_path(a, k)) == read_text(trajectory_path(b, k))) << k;
}

TEST(Experts, KeepWhatPlainTrainingGoesThrough) {
  const TempFolder folder;
  const Small small;
  const ExpertOutcome outcome = small.train(folder / "e");
  ASSERT_EQ(outcome.experts.size(), 3U);
  EXPECT_EQ(outcome.made, 3);
  train::TrainOptions options;
  options.momentum = options.weight_decay = 0;
  options.schedule = "constant";
  options.epochs = 4;
  options.batch_size = 10;
  options.augmentation = "color_crop_cutout_flip_scale_rotate";
  const auto source =
      data::real_source(small.data.train, small.data.preprocessing, at::Device(at::kCPU));
  const TrajectoryFile file(trajectory_path(folder / "e", 1));
  train::Callbacks callbacks;
  callbacks.epoch = [&](const train::Epoch& epoch) {
    EXPECT_TRUE(at::equal(file.row(epoch.done), epoch.theta));
    EXPECT_EQ(file.losses[epoch.done - 1], epoch.loss);
  };
  const train::ModelState trained = train::train(*small.network, *source, options, {0, "expert", 1},
                                                 at::Device(at::kCPU), callbacks);
  EXPECT_TRUE(at::equal(file.row(0), train::initial_start(*small.network, {0, "expert", 1}).theta));
  EXPECT_EQ(outcome.experts[1].loss, trained.final_loss);
  EXPECT_EQ(outcome.experts[1].accuracy, file.accuracy);
  EXPECT_EQ(file.accuracy, train::accuracy(*small.network, trained, small.data.test,
                                           small.data.preprocessing, at::Device(at::kCPU)));
  EXPECT_EQ(read_records(folder / "e" / "records.jsonl").size(), 3U);
}

TEST(Experts, StoppedAtAnyBatchEndInTheSameBytes) {
  const TempFolder folder;
  Small small;
  small.options.epochs = 40;  // long beside the first moments of a stop, on a busy machine too
  small.train(folder / "straight");
  open_experts(folder / "stopped", small.set);
  int starts = 0;
  for (bool stopped = true; stopped; ++starts) {  // ends: it may work for longer and longer
    StopFlag stop;
    ExpertInput input = small.input();
    input.stop = &stop;
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(3 + starts * starts));
      stop.request();
    });
    stopped = train_experts(input, folder / "stopped").stopped;
    later.join();
  }
  EXPECT_GT(starts, 1);
  expect_same_experts(folder / "straight", folder / "stopped");
  const ExpertOutcome again = small.train(folder / "stopped");
  EXPECT_EQ(again.made, 0);
  EXPECT_EQ(again.experts.size(), 3U);
}

/// Flips a bit of a byte that is counted from the end.
void flip(const std::filesystem::path& path, size_t from_end) {
  std::string bytes = read_text(path);
  bytes[bytes.size() - from_end] ^= 8;
  write_text(path, bytes);
}

TEST(Experts, ThatWereDamagedMeanwhileEndInTheSameBytes) {
  const TempFolder folder;
  const Small small;
  small.train(folder / "straight");
  // Stops within the third epoch of expert 1, damages a file, goes on.
  const auto go_on = [&](const std::string& name, const std::string& file, size_t from_end) {
    open_experts(folder / name, small.set);
    StopFlag stop;
    std::ostringstream said;
    ExpertInput input = small.input();
    input.stop = &stop;
    std::atomic<bool> finished{false};
    std::thread watcher([&] {
      const auto checkpoint = folder / name / "expert_0001.checkpoint";
      while (!finished && !std::filesystem::exists(previous_checkpoint(checkpoint)))
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      stop.request();
    });
    train_experts(input, folder / name);
    finished = true;
    watcher.join();
    if (!std::filesystem::exists(folder / name / file)) return std::string("finished before");
    flip(folder / name / file, from_end);
    ExpertInput again = small.input();
    again.progress.out = &said;
    train_experts(again, folder / name);
    expect_same_experts(folder / "straight", folder / name);
    return said.str();
  };
  const auto expect_said = [](const std::string& said, const std::string& part) {
    if (said != "finished before") {
      EXPECT_NE(said.find(part), std::string::npos) << said;
    }
  };
  const Small sizes;
  const auto row = static_cast<size_t>(sizes.network->parameters().size) * sizeof(float);
  expect_said(go_on("row", "expert_0001.partial", 4 * row + 10), "snapshot 0 is not as it was");
  expect_said(go_on("checkpoint", "expert_0001.checkpoint", 5),
              "the one before it is gone on from");
}

TEST(Experts, OfShardsAndOfALargerCountAreThoseOfOneProcess) {
  const TempFolder folder;
  Small small;
  small.options.flat.on = true;
  small.train(folder / "one");
  small.options.count = 1;
  small.train(folder / "shared");
  small.options.count = 3;
  for (const char* shard : {"1/2", "0/2"}) {
    small.options.shard = shard;
    small.train(folder / "shared");
  }
  expect_same_experts(folder / "one", folder / "shared");
  EXPECT_EQ(read_records(folder / "shared" / "records.jsonl").size(), 3U);
}

TEST(Experts, ThatAnotherProcessTrainsAreLeftToIt) {
  const TempFolder folder;
  const Small small;
  open_experts(folder / "e", small.set);
  TrajectoryPlan plan;
  plan.folder = folder / "e";
  plan.expert = 1;
  plan.epochs = 4;
  plan.parameters = 10;
  const auto other = GrowingTrajectory::claim(complete(plan));
  ASSERT_TRUE(other);
  EXPECT_FALSE(GrowingTrajectory::claim(complete(plan)));
  expect_error<StateError>([&] { train_experts(small.input(), folder / "e"); },
                           {"another process is working on expert 1", "same command again"});
  EXPECT_TRUE(std::filesystem::exists(trajectory_path(folder / "e", 0)));
  EXPECT_TRUE(std::filesystem::exists(trajectory_path(folder / "e", 2)));
}

TEST(Experts, RefuseOtherOptionsAndNetworksWithRunningStatistics) {
  const TempFolder folder;
  Small small;
  small.options.count = 1;
  small.train(folder / "e");
  small.options.flat.on = true;
  small.options.epochs = 9;
  expect_error<StateError>([&] { open_experts(folder / "e", small.set); },
                           {"epochs: was 4, now 9", "flat: was false, now true", "larger --count"});
  const Small coupled("convnet-w4-d1-bn");
  expect_error<ConfigError>([&] { check_experts(coupled.input()); }, {"running statistics", "bn"});
  Small wrong;
  wrong.options.shard = "2/2";
  expect_error<ConfigError>([&] { check_experts(wrong.input()); }, {"'2/2'", "INDEX/COUNT"});
}

TEST(Experts, RefuseToGoOnWithOtherData) {
  const TempFolder folder;
  Small small;
  small.options.count = 1;
  open_experts(folder / "e", small.set);
  {  // as a kill in the second epoch leaves it
    small.train(folder / "whole");
    const TrajectoryFile done(trajectory_path(folder / "whole", 0));
    TrajectoryPlan plan{folder / "e", 0, 4, done.parameters, DType::kF32, done.metadata};
    const auto growing = GrowingTrajectory::claim(plan);
    growing->make();
    growing->write(0, done.row(0), 0);
    growing->write(1, done.row(1), done.losses[0]);
    growing->checkpoint(1, done.row(1));
  }
  small.data = tests::small_data(2);
  expect_error<StateError>([&] { train_experts(small.input(), folder / "e"); },
                           {"expert_0000.partial'", "other data or options"});
  small.data = tests::small_data(1);
  small.train(folder / "e");
  EXPECT_EQ(read_text(trajectory_path(folder / "e", 0)),
            read_text(trajectory_path(folder / "whole", 0)));
  small.data = tests::small_data(2);
  expect_error<StateError>([&] { small.train(folder / "e"); }, {"expert_0000", "by their hash"});
}

TEST(Experts, NeedDiskForWhatIsNotThere) {
  const TempFolder folder;
  Small small;
  const DiskNeed all = disk_need(small.input(), folder / "e");
  EXPECT_EQ(all.experts, 3);
  small.options.count = 1;
  small.train(folder / "e");
  EXPECT_EQ(disk_need(small.input(), folder / "e").bytes, 0);
  const auto size =
      static_cast<int64_t>(std::filesystem::file_size(trajectory_path(folder / "e", 0)));
  EXPECT_EQ(all.bytes, 3 * size + 12 * small.network->parameters().size);  // three checkpoints
  small.options.count = 10;
  small.options.epochs = 1000000000000;
  expect_error<ResourceError>([&] { disk_need(small.input(), folder / "f"); },
                              {"10 experts", "on disk", "lower --count"});
}

/// A buffer as torch.save writes it: lists of lists of lists of tensors.
std::string buffer_of(const nets::Network& network, int trajectories, int snapshots,
                      const std::vector<int64_t>& sides = {}) {
  std::string text = "(l";
  for (int t = 0; t < trajectories; ++t) {
    text += "(l";
    for (int s = 0; s < snapshots; ++s) {
      text += "(l";
      for (const nets::Slot& slot : network.parameters().slots) {
        std::string shape, strides;
        int64_t stride = slot.count;
        for (const int64_t side : slot.shape) {
          stride /= side;
          shape += "I" + std::to_string(side) + "\n";
          strides += "I" + std::to_string(stride) + "\n";
        }
        text += synthetic::tests::pickled_tensor("FloatStorage", std::to_string(t * snapshots + s),
                                                 network.parameters().size, slot.offset, shape,
                                                 strides) +
                "a";
      }
      text += "a";
    }
    text += "a";
  }
  return text + ".";
}

TEST(ImportedExperts, AreTheBuffersSnapshots) {
  const TempFolder folder;
  Small small;
  std::vector<std::string> storages;
  for (int i = 0; i < 6; ++i) {
    const at::Tensor theta =
        small.network->initial(RandomStream(9, "test", static_cast<uint64_t>(i)));
    storages.emplace_back(static_cast<const char*>(theta.data_ptr()), theta.nbytes());
  }
  synthetic::tests::write_pt(folder / "replay_buffer_0.pt", buffer_of(*small.network, 2, 3),
                             storages);
  small.options.imports = {(folder / "replay_buffer_0.pt").string()};
  check_import(small.input());
  open_experts(folder / "e", small.set);
  const ExpertOutcome outcome = import_experts(small.input(), folder / "e");
  EXPECT_EQ(outcome.made, 2);
  EXPECT_TRUE(std::isnan(outcome.experts[0].loss));
  const Trajectories read(folder / "e", small.data, *small.network);
  EXPECT_EQ(read.count(), 2);
  EXPECT_EQ(read.epochs(), 2);
  for (int i = 0; i < 6; ++i)
    EXPECT_TRUE(at::equal(read.snapshot(i / 3, i % 3), small.network->initial(RandomStream(
                                                           9, "test", static_cast<uint64_t>(i)))));
  EXPECT_EQ(import_experts(small.input(), folder / "e").made, 0);

  const Small other("convnet-w8-d1");
  ExpertOptions options = small.options;
  const ExpertInput wrong{small.data, *other.network, options, at::Device(at::kCPU), {}};
  expect_error<DataError>([&] { check_import(wrong); },
                          {"replay_buffer_0.pt'", "tensor 0 of snapshot 0 of trajectory 0",
                           "[4, 1, 3, 3]", "[8, 1, 3, 3] for 'block1.conv.weight'", "--network"});
  synthetic::tests::write_pt(folder / "b.pt", "(l(lI1\naa.", {});
  options.imports = {(folder / "b.pt").string()};
  expect_error<DataError>([&] { check_import(wrong); }, {"b.pt'", "has one snapshot"});
}

}  // namespace
}  // namespace retort::trajectories
