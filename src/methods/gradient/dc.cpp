// DC and DSA: one objective with and without augmentation.
#include "methods/gradient/dc.h"

#include "methods/deviations.h"
#include "methods/gradient/gradient_matching.h"

namespace retort::methods {
namespace {

std::vector<std::string> deviations(bool augmented) {
  std::vector<std::string> all{
      "Any number of images per class is taken, interpolated between the published loop sizes, "
      "from 50 on as for 50, classes of unequal size as the largest; the reference takes six "
      "numbers only.",
      "Classes are differentiated in groups that bound the memory, which gives the same sum; the "
      "reference keeps the second-order graphs of all classes until one backward pass.",
      "Batches, orders and networks are drawn from named streams; the reference seeds from the "
      "clock or not at all.",
      "--batchnorm-calibration proper takes BatchNorm's statistics from real images alone; the "
      "default does as the reference, which moves them a tenth of the way.",
      "The recorded loss is the last matching step's sum over classes; the reference prints the "
      "mean over classes and steps.",
      "The saved set is the one that is evaluated; the reference saves it one iteration later."};
  all.emplace_back(
      "A set that was made with a BatchNorm network is evaluated with it; the reference's default "
      "mode takes the same network with instance norm: give its name with --networks.");
  if (augmented) {
    all.emplace_back(
        "Every class and matching step has its own augmentation; in the reference, classes that "
        "come within one millisecond share one.");
    all.emplace_back(kAllOfAnAugmentation);
  } else {
    all.emplace_back(
        "Students are trained for 300 epochs without augmentation for MNIST and ConvNetBN too, "
        "where the reference crops, scales, rotates or adds noise, for 1,000 epochs.");
  }
  return all;
}

std::unique_ptr<Method> make(bool augmented) {
  gradient::Options options;
  options.augmented = augmented;
  return std::make_unique<MethodOf<gradient::Options, gradient::GradientMatching>>(
      LoopDefaults{.iterations = 1000,
                   .image_learning_rate = 0.1,
                   .image_momentum = 0.5,
                   .initialisation = augmented ? "real" : "noise",
                   .protocol = augmented ? "dm" : "dc"},
      deviations(augmented), options);
}

}  // namespace

std::unique_ptr<Method> make_dc() {
  return make(false);
}

std::unique_ptr<Method> make_dsa() {
  return make(true);
}

}  // namespace retort::methods
