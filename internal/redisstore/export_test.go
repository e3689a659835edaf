package redisstore

// StageAll lets no state go through a script.
func (s *Store) StageAll() { s.stageFrom = 0 }
