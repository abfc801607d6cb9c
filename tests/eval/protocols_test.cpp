// Every protocol beside the numbers of the script that published it.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "augment/training_strategy.h"
#include "core/registry.h"
#include "retort/eval/evaluate.h"
#include "train/learning_rate.h"

namespace retort::eval {
namespace {

const Protocol& protocol(const std::string& name) {
  return find_entry(std::span(protocols()), "protocol", name);
}

/// What a training script of SGD says.
struct Script {
  std::string protocol;
  double learning_rate, momentum, weight_decay;
  int64_t batch_size, passes;
  int64_t last_full;  ///< index of the last epoch at the full rate; -1: it never falls
  bool augmented;
};

/// dm: DatasetCondensation's main_DM.py and MTT's distill.py (lr_net .01, batch_train 256,
/// epoch_eval_train 1000), with evaluate_synset of utils.py: SGD, momentum .9, decay .0005,
/// range(Epoch + 1), the rate times .1 after the epoch of index Epoch // 2 + 1. dc: main.py
/// (epoch_eval_train 300, no augmentation but for DSA, whose 1,000 epochs are dm's). datm:
/// batch_train 128 in all of DATM's configs/*/ConvIN/*.yaml and in distill/evaluation.py,
/// epoch_eval_train 1000. rtp: RememberThePast's configs/compressors_bptt_interventions.yml
/// (train_epoch 300, backbone_optim SGD .01, .9, decay 0) and tools/trainer.py (batches of 640,
/// range(n_epochs), no scheduler). dd: dataset-distillation's base_options.py (distill_lr .02,
/// distill_epochs 3; plain steps).
const std::vector<Script>& scripts() {
  static const std::vector<Script> all = {{"dm", .01, .9, .0005, 256, 1001, 501, true},
                                          {"dc", .01, .9, .0005, 256, 301, 151, false},
                                          {"datm", .01, .9, .0005, 128, 1001, 501, true},
                                          {"rtp", .01, .9, 0, 640, 300, -1, true},
                                          {"dd", .02, 0, 0, 256, 3, -1, false}};
  return all;
}

TEST(Protocols, HoldTheNumbersOfThePublishedScripts) {
  for (const Script& script : scripts()) {
    SCOPED_TRACE(script.protocol);
    const train::TrainOptions& ours = protocol(script.protocol).training;
    EXPECT_EQ(ours.optimizer, "sgd");
    EXPECT_EQ(ours.learning_rate, script.learning_rate);
    EXPECT_EQ(ours.momentum, script.momentum);
    EXPECT_EQ(ours.weight_decay, script.weight_decay);
    if (script.last_full >= 0 || script.augmented) {  // dd's batches are those of its steps
      EXPECT_EQ(ours.batch_size, script.batch_size);
    }
    EXPECT_EQ(train::passes(ours), script.passes);
    EXPECT_EQ(ours.augmentation, script.augmented ? "auto" : "none");
    EXPECT_EQ(ours.loss, losses::Kind::kCrossEntropy);
    EXPECT_FALSE(ours.decay_weights_only);
  }
}

TEST(Protocols, DropTheRateWhereThePublishedScriptsDo) {
  for (const Script& script : scripts()) {
    SCOPED_TRACE(script.protocol);
    const train::TrainOptions& ours = protocol(script.protocol).training;
    for (int64_t epoch = 0; epoch < script.passes; ++epoch) {
      const bool dropped = script.last_full >= 0 && epoch > script.last_full;
      EXPECT_NEAR(train::learning_rate_at(ours, epoch), script.learning_rate * (dropped ? .1 : 1),
                  1e-15)
          << epoch;
      // The scripts make a new optimizer with the new rate.
      EXPECT_EQ(train::resets_before(ours, epoch),
                script.last_full >= 0 && epoch == script.last_full + 1);
    }
  }
}

// The strategy of main_DM.py and MTT's distill.py, and utils.py's ParamDiffAug.
TEST(Protocols, AugmentAsThePublishedScripts) {
  EXPECT_EQ(augment::default_strategy(/*mirrorable=*/true), "color_crop_cutout_flip_scale_rotate");
}

// NCFM's config/ipc10/cifar10.yaml and condenser/evaluate.py: AdamW 1e-3 with PyTorch's decay,
// batches of 128, 2,000 epochs, halved at each fifth, CutMix with a chance of 0.5.
TEST(Protocols, NcfmFollowsItsConfiguration) {
  const train::TrainOptions& ours = protocol("ncfm").training;
  EXPECT_EQ(ours.optimizer, "adamw");
  EXPECT_EQ(ours.weight_decay, 0.01);
  EXPECT_EQ(ours.batch_size, 128);
  EXPECT_EQ(train::passes(ours), 2000);
  for (const auto& [epoch, rate] : std::map<int64_t, double>{
           {0, 1e-3}, {399, 1e-3}, {400, 5e-4}, {800, 2.5e-4}, {1999, 6.25e-5}})
    EXPECT_NEAR(train::learning_rate_at(ours, epoch), rate, 1e-15) << epoch;
  EXPECT_EQ(augment::parse_training_strategy(ours.augmentation).cutmix, 0.5);
}

// TGDD's arguments/arg_condense.py and train.py: SGD 0.01, momentum 0.9, decay 5e-4, batches of 64,
// 1,500 epochs, x0.2 at 1,000 and 1,250, CutMix with a chance of 0.5 and no cutout.
TEST(Protocols, TgddFollowsItsArguments) {
  const train::TrainOptions& ours = protocol("tgdd").training;
  EXPECT_EQ(ours.optimizer, "sgd");
  EXPECT_EQ(ours.momentum, 0.9);
  EXPECT_EQ(ours.weight_decay, 5e-4);
  EXPECT_EQ(ours.batch_size, 64);
  EXPECT_EQ(train::passes(ours), 1500);
  for (const auto& [epoch, rate] :
       std::map<int64_t, double>{{0, 1e-2}, {999, 1e-2}, {1000, 2e-3}, {1249, 2e-3}, {1250, 4e-4}})
    EXPECT_NEAR(train::learning_rate_at(ours, epoch), rate, 1e-15) << epoch;
  const augment::TrainingStrategy strategy = augment::parse_training_strategy(ours.augmentation);
  EXPECT_EQ(strategy.cutmix, 0.5);
  EXPECT_TRUE(strategy.siamese.one_place);
  EXPECT_EQ(strategy.siamese.operations.size(), 5u);
}

// FRePo's script/eval.py: step_per_prototpyes.
TEST(Protocols, FrepoTakesItsStepsFromTheSize) {
  const std::map<int64_t, int64_t> published{{10, 1000},    {100, 2000},  {200, 20000},
                                             {400, 5000},   {500, 5000},  {1000, 10000},
                                             {2000, 40000}, {5000, 40000}};
  for (const auto& [images, steps] : published) EXPECT_EQ(protocol("frepo").steps(images), steps);
}

// FRePo's script/eval.py: Adam of rate .0003 without decay (lib/training/utils.py leaves it out),
// batches of min(set, 500), squared error, 500 steps from 0 to the rate, then a cosine to 1 %.
TEST(Protocols, FrepoFollowsItsScript) {
  train::TrainOptions ours = protocol("frepo").training;
  EXPECT_EQ(ours.optimizer, "adamw");
  EXPECT_EQ(ours.weight_decay, 0);
  EXPECT_EQ(ours.batch_size, 500);
  EXPECT_EQ(ours.loss, losses::Kind::kSquared);
  ours.epochs = 2000;  // of one batch: 100 images
  EXPECT_EQ(train::learning_rate_at(ours, 0), 0);
  EXPECT_NEAR(train::learning_rate_at(ours, 250), .00015, 1e-12);
  EXPECT_NEAR(train::learning_rate_at(ours, 500), .0003, 1e-12);
  // Half of the 1,500 steps of the cosine: alpha + (1 - alpha) / 2 with alpha .01.
  EXPECT_NEAR(train::learning_rate_at(ours, 1250), .0003 * .505, 1e-12);
  EXPECT_NEAR(train::learning_rate_at(ours, 1999), .0003 * .01, 1e-8);
}

}  // namespace
}  // namespace retort::eval
