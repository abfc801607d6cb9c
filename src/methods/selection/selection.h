// Methods that keep real images as they are: random, herding, k-center and forgetting, each class
// by itself. They need no distillation and are what a distilled set has to beat.
#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

std::unique_ptr<Method> make_random();
/// Herding (Welling, ICML 2009): picks keep the mean of features closest to the class mean.
std::unique_ptr<Method> make_herding();
/// K-center (Sener and Savarese, ICLR 2018): farthest-first traversal of features.
std::unique_ptr<Method> make_kcenter();
/// Forgetting events (Toneva et al., ICLR 2019): images that are unlearned most often.
std::unique_ptr<Method> make_forgetting();

}  // namespace retort::methods
