package main

func tomlTexts(r *recorder) {}
