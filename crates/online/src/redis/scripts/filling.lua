-- ARGV: prefix, digest. The note of what is filled, or false.
return look_filling(ARGV[2])[1]
